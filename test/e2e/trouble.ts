/** What the tests of bad input and trouble share: a fleet of one, a small project, and bounds on waiting. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Fleet, type FleetWorker } from '../rig/fleet.ts';
import { World, type Ended, type HistoryRow } from '../rig/world.ts';
import { type Files, write } from './projects.ts';

/** What any command here must be done in, whatever goes wrong, ms. */
const BOUND = 60_000;

/** One source, one program that says 42. */
export const tiny: Files = {
  Makefile: 'x: x.c\n\tcc x.c -o x\n',
  'x.c': '#include <stdio.h>\nint main(void) { puts("42"); return 0; }\n',
};

/** Fails when something takes longer than it may: a hang is a failure with a name. */
export async function within<T>(work: Promise<T>, what = 'the command', ms = BOUND): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} took longer than ${ms} ms`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again until the answer is yes; for what happens on another machine, of which nothing here is told. */
export async function until(ask: () => Promise<boolean>, what: string): Promise<void> {
  const till = performance.now() + BOUND;
  while (!(await ask())) {
    if (performance.now() > till) throw new Error(`in ${BOUND} ms never ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}

export const words = (ended: Ended): string => ended.stdout.toString() + ended.stderr.toString();

/** A world with one worker, and a folder for projects. */
export class Scene {
  readonly fleet: Fleet;
  readonly world: World;
  readonly base: string;

  private constructor(fleet: Fleet, world: World) {
    this.fleet = fleet;
    this.world = world;
    this.base = mkdtempSync(join(tmpdir(), 'rch-trouble-'));
  }

  /** `at` leads to the worker by another address. */
  static async set(
    name: string,
    reach: (worker: FleetWorker) => Promise<{ host: string; port: number }> = (worker) =>
      Promise.resolve(worker),
  ): Promise<Scene> {
    const fleet = await Fleet.up(name, 1);
    const worker = fleet.worker(0);
    const at = await reach(worker);
    const world = await World.create(fleet.workersToml(() => at));
    const key = fleet
      .knownHosts()
      .replace(/^\S+/, at.port === 22 ? at.host : `[${at.host}]:${at.port}`);
    world.writeConfig('known_hosts', key);
    await world.start();
    return new Scene(fleet, world);
  }

  get worker(): FleetWorker {
    return this.fleet.worker(0);
  }

  /** Writes a project. */
  project(name: string, files: Files = tiny): string {
    const folder = join(this.base, name);
    mkdirSync(folder, { recursive: true });
    write(folder, files);
    return folder;
  }

  /** Runs a command through the shims, remotely if that is safe; the record of it beside its end. */
  async build(
    cwd: string,
    argv: readonly string[] = ['make'],
    env: Files = {},
  ): Promise<{ ended: Ended; row: HistoryRow }> {
    const ended = await within(
      this.world.run(argv, { cwd, env: { RCH_FORCE_REMOTE: '1', ...env } }),
    );
    return { ended, row: await this.last() };
  }

  async last(): Promise<HistoryRow> {
    const [row] = await this.world.history(1);
    if (row === undefined) throw new Error('the daemon has no history');
    return row;
  }

  /** The command runs on the worker and makes the program. */
  async buildsThere(cwd: string, argv: readonly string[] = ['make']): Promise<HistoryRow> {
    const { ended, row } = await this.build(cwd, argv);
    expect(ended.code, words(ended)).toBe(0);
    expect(row, row.reason).toMatchObject({ decision: 'remote', worker: 'worker1', exit: 0 });
    return row;
  }

  /** What a program says. */
  async says(program: string): Promise<string> {
    const ended = await this.world.run([program], { cwd: this.base, shims: false });
    expect(ended.code, words(ended)).toBe(0);
    return ended.stdout.toString().trim();
  }

  /** Whether some process of the worker was started with these words. */
  async runsThere(pattern: string): Promise<boolean> {
    const list = await this.fleet.inside(this.worker, 'ps', '-eo', 'args');
    return list.split('\n').some((line) => line.includes(pattern) && !line.startsWith('ps '));
  }

  async leave(): Promise<void> {
    await this.world.dispose();
    await this.fleet.release();
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** Another world of the same user, with workers of its own, for one test. */
export async function withWorld<T>(
  workers: string,
  use: (world: World, folder: string) => Promise<T>,
  knownHosts = '',
): Promise<T> {
  const world = await World.create(workers);
  const folder = mkdtempSync(join(tmpdir(), 'rch-trouble-'));
  write(folder, tiny);
  try {
    world.writeConfig('known_hosts', knownHosts);
    await world.start();
    return await use(world, folder);
  } finally {
    await world.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A worker cannot be used: the command ran here and succeeded, and the history says why. */
export async function runsHereBecause(world: World, folder: string, reason: RegExp): Promise<void> {
  const ended = await within(
    world.run(['make'], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } }),
    'the build',
    90_000,
  );
  expect(ended.code, words(ended)).toBe(0);
  expect(ended.stdout.toString()).toBe('cc x.c -o x\n');
  expect(ended.stderr.toString()).toBe('');
  const [row] = await world.history(1);
  expect(row).toMatchObject({ decision: 'local', worker: null });
  expect(row?.reason).toMatch(reason);
}
