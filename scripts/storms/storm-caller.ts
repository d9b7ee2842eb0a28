/** One caller of the storm: a session of its own that builds again and again, with an edit before each build. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HistoryRow, World } from '../../test/rig/world.ts';
import { quote, TimedShell } from '../benchmarks/timed-shell.ts';
import { childSeconds } from './cpu.ts';
import { cargoBuild, makeBuild, type Build, type MarkAddress } from './repository.ts';

export type CallerOptions = {
  readonly name: string;
  readonly cargo: boolean;
  readonly worktree: string;
  readonly world: World;
  readonly builds: number;
  readonly seed: number;
  readonly env: Readonly<Record<string, string>>;
  readonly mark: MarkAddress;
};

/** One build that was run. */
export type Ran = {
  readonly name: string;
  /** The tool itself ran in the launcher's place. */
  readonly here: boolean;
  /** s of CPU that the launcher took; 0 where the tool itself ran in its place. */
  readonly launcher: number;
  /** What went wrong; empty when nothing did. */
  readonly fault: string;
};

/** mulberry32: numbers from 0 to 1, the same for the same seed. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Caller {
  readonly #options: CallerOptions;
  readonly #shell: TimedShell;
  readonly #random: () => number;
  #count = 0;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#random = random(options.seed);
    const env = options.world.shimEnv({ ...options.env, RCH_FORCE_REMOTE: '1' });
    this.#shell = new TimedShell([], env, true);
  }

  get name(): string {
    return this.#options.name;
  }

  get usesCargo(): boolean {
    return this.#options.cargo;
  }

  /** All builds, one after the other. */
  async run(): Promise<Ran[]> {
    const all: Ran[] = [];
    for (let at = 0; at < this.#options.builds; at++) all.push(await this.#build(this.#next()));
    return all;
  }

  /** A build on that worker. */
  async warm(worker: string): Promise<void> {
    const build = this.#next();
    build.edit();
    await this.#shell.must(`cd ${quote(build.folder)} && RCH_WORKER=${worker} ${build.command}`);
  }

  /** s of CPU that a build takes with the real tools. */
  async costHere(): Promise<number> {
    const build = this.#next();
    build.edit();
    const before = childSeconds(this.#shell.pid);
    await this.#shell.must(`cd ${quote(build.folder)} && RCH_BYPASS=1 ${build.command}`);
    return childSeconds(this.#shell.pid) - before;
  }

  /** What the daemon wrote down about its builds since `since` (ms), oldest first; of one that it was not asked, nothing. */
  recorded(history: readonly HistoryRow[], since: number): HistoryRow[] {
    const { cargo, worktree, name, builds } = this.#options;
    const own = cargo
      ? ({ cwd }: HistoryRow): boolean => cwd === join(worktree, 'crate')
      : ({ argv }: HistoryRow): boolean => argv.includes(`CALLER=${name}`);
    // The warming up came before.
    const late = history.filter((row) => own(row) && Date.parse(row.startedAt) >= since);
    return late.slice(0, builds).reverse();
  }

  leave(): Promise<void> {
    return this.#shell.close();
  }

  #next(): Build {
    const { name: caller, cargo, worktree, mark } = this.#options;
    const name = `${caller}-${this.#count++}`;
    const answer = Math.floor(this.#random() * 1e6);
    const jobs = 1 + Math.floor(this.#random() * 3);
    const options = { worktree, caller, name, mark, answer };
    return cargo ? cargoBuild(options) : makeBuild(options, jobs);
  }

  async #build(build: Build): Promise<Ran> {
    build.edit();
    const where = join(this.#options.worktree, '..', `where-${this.name}`);
    writeFileSync(where, '');
    const before = childSeconds(this.#shell.pid);
    const done = await this.#shell.run(
      `cd ${quote(build.folder)} && RCH_WORKER_FILE=${quote(where)} ${build.command}`,
    );
    const spent = childSeconds(this.#shell.pid) - before;
    const here = readFileSync(where, 'utf8').trim() === 'local';
    const ran = { name: build.name, here, launcher: here ? 0 : spent };
    if (done.code !== 0) return { ...ran, fault: `exit ${done.code}: ${done.output}` };
    try {
      const printed = execFileSync(build.program, { encoding: 'utf8' });
      const fault = printed === build.answer ? '' : `prints ${printed.trim()}`;
      return { ...ran, fault };
    } catch (thrown) {
      return { ...ran, fault: String(thrown) };
    }
  }
}
