/**
 * What the walk through the schema measures with: a daemon with a scripted worker, asked to run make in a fresh project
 * under some configuration; and the configuration by itself, for what a link or an agent makes of it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { layoutFor } from '../../../src/base/layout.ts';
import { loadConfig, projectConfigFile } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { setValue } from '../../../src/config/toml-edit.ts';
import type { TomlValue } from '../../../src/config/toml-value.ts';
import { trust } from '../../../src/config/trust.ts';
import type { PlannedJob } from '../../../src/protocol/ipc.ts';
import { House, type Launcher, type LinkScript } from '../../daemon/front/rig.ts';

/** Keys of a file with values, dotted as the file has them. */
export type Values = Readonly<Record<string, TomlValue>>;

/** What is seen when a key has its default, and again when it has `to`. */
export type Probe = {
  readonly to: TomlValue;
  /** Other keys of the same file, both times. */
  readonly beside?: Values;
  /** Keys of the user's config.toml both times, for a project's key. */
  readonly user?: Values;
} & (
  | { readonly pure: (config: Config, workersFile: string) => unknown }
  /** By default `seeMake`. */
  | { readonly see?: (bench: Bench) => Promise<unknown> }
);

/** The text of a file that sets these. */
export function textOf(values: Values): string {
  return Object.entries(values).reduce((text, [name, value]) => {
    const set = setValue(text, name.split('.'), value);
    if (!set.ok) throw new Error(`${name}: ${set.failure.reason}`);
    return set.value;
  }, '');
}

/** The configuration that files with such keys make, in a folder of their own. */
export function configOf(files: { readonly user?: Values; readonly workers?: string }): {
  config: Config;
  workersFile: string;
} {
  const home = mkdtempSync(join(tmpdir(), 'rch-walk-'));
  try {
    const layout = layoutFor({ HOME: home });
    mkdirSync(layout.config, { recursive: true });
    writeFileSync(join(layout.config, 'config.toml'), textOf(files.user ?? {}));
    writeFileSync(join(layout.config, 'workers.toml'), files.workers ?? '');
    const loaded = loadConfig(layout, { HOME: '/home/me' });
    if (!loaded.ok) throw new Error(loaded.failure.reason);
    return loaded.value;
  } finally {
    rmSync(home, { recursive: true });
  }
}

/** Fields of a planned job that differ from one question to the next. */
const passing = ['job', 'launcher', 'waitedMs', 'look'] as const;

export class Bench {
  readonly house: House;
  #link: LinkScript | undefined;
  readonly #plans: PlannedJob[] = [];
  #planned: (() => void) | undefined;
  #projects = 0;
  #projectFile = '';
  #trusted = true;
  /** Of the project that was built in last. */
  folder = '';

  private constructor(house: House) {
    this.house = house;
  }

  static async create(): Promise<Bench> {
    const bench = new Bench(new House());
    bench.house.workers('css');
    const { state } = bench.house.layout;
    mkdirSync(state, { recursive: true });
    const at = new Date().toISOString();
    const facts = { single: 1, all: 1, memory: 1, disk: 1, compileMs: null };
    writeFileSync(join(state, 'speeds.json'), JSON.stringify({ css: { score: 50, at, facts } }));
    await bench.house.listenForLinks();
    await bench.house.start();
    bench.#link = await bench.house.link();
    await bench.#link.connected();
    void bench.#pump();
    return bench;
  }

  get link(): LinkScript {
    if (this.#link === undefined) throw new Error('no link yet');
    return this.#link;
  }

  /** Answers what the link is asked, and keeps the plans it is given. */
  async #pump(): Promise<void> {
    for (;;) {
      try {
        this.#plans.push((await this.link.expect('plan')).job);
        this.#planned?.();
      } catch (thrown) {
        if (String(thrown).includes('is gone')) return;
      }
    }
  }

  /** The daemon has read these keys of the user's file. */
  async configure(user: Values): Promise<void> {
    this.house.write('config.toml', textOf(user));
    const { problems } = await this.house.call('reload', {});
    if (problems[0] !== undefined) throw new Error(`${problems[0].key}: ${problems[0].reason}`);
  }

  /** From now on projects have such a file of their own. */
  project(values: Values, trusted: boolean): void {
    this.#projectFile = textOf(values);
    this.#trusted = trusted;
  }

  /** A folder with a Makefile that nobody built in before. */
  freshFolder(): string {
    this.#projects += 1;
    this.folder = this.house.project(`p${this.#projects}`);
    if (this.#projectFile !== '') {
      const file = projectConfigFile(this.folder);
      mkdirSync(dirname(file));
      writeFileSync(file, this.#projectFile);
      if (this.#trusted) trust(this.house.layout, file, this.#projectFile);
    }
    return this.folder;
  }

  /** The answer to a launcher, without what is on the way to it. */
  async answer(launcher: Launcher): Promise<unknown> {
    for (;;) {
      const message = await launcher.next();
      if (message === undefined) throw new Error('no answer');
      if (message.type === 'ack' || message.type === 'wait') continue;
      if (message.type === 'local') {
        const { reason, notice } = message;
        await launcher.end();
        return this.#neutral({ type: 'local', reason, notice });
      }
      if (message.type === 'lost') return this.#neutral({ type: 'lost', text: message.text });
      if (message.type !== 'remote') throw new Error(`${message.type} was not expected`);
      const job = await this.#plan();
      this.link.done(job);
      await this.house.until('the end', ({ jobs }) => jobs.length === 0);
      await launcher.end();
      const told = Object.fromEntries(
        Object.entries(job).filter(([name]) => !passing.some((each) => each === name)),
      );
      // The key is of the folder too, which is another one each time.
      const shares = job.key !== '';
      return this.#neutral({ type: 'remote', worker: message.worker, ...told, key: shares });
    }
  }

  /** The plan of a command that was sent away; the launcher may know of it before the link does. */
  async #plan(): Promise<PlannedJob> {
    for (;;) {
      const job = this.#plans.shift();
      if (job !== undefined) return job;
      await new Promise<void>((resolve) => {
        this.#planned = resolve;
      });
    }
  }

  /** The project's folder by one name, whatever its own. */
  #neutral(value: unknown): unknown {
    return JSON.parse(JSON.stringify(value).replaceAll(this.folder, '/project')) as unknown;
  }

  /** The row in line of a make for which there is no room. */
  async waiting(): Promise<unknown> {
    const first = await this.house.make(this.freshFolder(), {}, {}, ['make', '-j64']);
    const job = await this.#plan();
    const second = await this.house.make(this.freshFolder());
    await this.house.until('the line', ({ queue }) => queue.length === 1);
    const [row] = await this.house.call('queue', {});
    this.link.done(job);
    await this.answer(second);
    await first.end();
    return row?.priority;
  }

  /** make in a fresh project, for which a worker is insisted on. */
  async make(env: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return this.answer(await this.house.make(this.freshFolder(), env));
  }

  /** Waits for the word that a hook of the last command went wrong, when its project has a hook. */
  async hookTold(): Promise<unknown> {
    const [row] = await this.house.call('history', { n: 1 });
    if (!this.#projectFile.includes('on_fallback')) return row?.hooks;
    await this.house.recorded('on_fallback: exit 3');
    return (await this.house.call('history', { n: 1 }))[0]?.hooks;
  }

  async dispose(): Promise<void> {
    await this.house.dispose();
  }
}

export const seeMake = (bench: Bench): Promise<unknown> => bench.make();

/** make as it takes all the cores it may. */
export const seeMakeAll = async (bench: Bench): Promise<unknown> =>
  bench.answer(await bench.house.make(bench.freshFolder(), {}, {}, ['make', '-j']));

export const seePriority = (bench: Bench): Promise<unknown> => bench.waiting();

/** The worker's score for make, with its terms. */
export async function seeScore(bench: Bench): Promise<unknown> {
  await bench.make();
  const why = await bench.house.call('why', { cwd: bench.folder });
  return why.details?.workers;
}
