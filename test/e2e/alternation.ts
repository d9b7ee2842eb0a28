/**
 * The alternation fuzzer: edits, touches, local and remote builds in any order, edits during a build, connections
 * cut while a result comes back. After every build the sources must be what was written, the program must say what
 * they say, and an idle build on the other side must find nothing to do.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Relay } from '../rig/fleet.ts';
import type { Ended, World } from '../rig/world.ts';
import { until, within } from './trouble.ts';

/** One kind of project under the fuzzer. */
export type Subject = {
  readonly name: string;
  readonly argv: readonly string[];
  /** Sources that hold a number in a line of their own form; `line(n)` is that line. */
  readonly sources: readonly {
    readonly file: string;
    readonly line: (n: number) => string;
    readonly form: RegExp;
  }[];
  /** What the built program prints for the numbers of the sources. */
  readonly expected: (numbers: readonly number[]) => string;
  readonly program: string;
  /** Whether a build that had nothing to do says so. */
  readonly idle: (ended: Ended) => boolean;
};

/** mulberry32: small, seeded, good enough to shuffle steps. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** `remote` builds were sent there by a connection that held, `cut` ones by one that did not. */
export type Tally = {
  steps: number;
  remote: number;
  local: number;
  cut: number;
  /** How many connections of those ended. */
  cuts: number;
  problems: string[];
};

export type Course = {
  readonly seed: number;
  /**
   * On the way to the worker. Without it all builds run here: nothing is cut, and no edit falls into a build, which the
   * tools themselves do not always see.
   */
  readonly relay: Relay | undefined;
};

/** ms that any build may take: none waits for what a connection took along when it ended. */
const LONGEST = 60_000;

type Side = 'local' | 'remote';

export class Alternation {
  readonly #world: World;
  readonly #subject: Subject;
  readonly #folder: string;
  readonly #next: () => number;
  readonly #relay: Relay | undefined;
  readonly #tally: Tally = { steps: 0, remote: 0, local: 0, cut: 0, cuts: 0, problems: [] };
  #numbers: number[];
  /** What was written last, by file. */
  readonly #texts: Map<string, string>;
  /** Bytes that came from the worker in the last build there that did something. */
  #returned = 20_000;

  constructor(world: World, subject: Subject, folder: string, course: Course) {
    this.#world = world;
    this.#subject = subject;
    this.#folder = folder;
    this.#next = random(course.seed);
    this.#relay = course.relay;
    this.#numbers = subject.sources.map(() => 0);
    this.#texts = new Map(
      subject.sources.map(({ file }) => [file, readFileSync(join(folder, file), 'utf8')]),
    );
  }

  async run(steps: number): Promise<Tally> {
    // A worker starts without cargo's target folder: only from its first build on has it what is here.
    this.#check(0, 'first', await this.#build('remote'));
    for (let step = 0; step < steps; step++) {
      this.#tally.steps += 1;
      const draw = this.#next();
      if (draw < 0.25) this.#edit();
      else if (draw < 0.35) this.#touch();
      else if (draw < 0.6) await this.#buildAndCheck(step, 'local');
      else if (draw < 0.82) await this.#buildAndCheck(step, 'remote');
      else if (draw < 0.9) await this.#buildWithCut(step);
      else await this.#buildDuringEdit(step);
      if (this.#tally.problems.length > 5) break;
    }
    return this.#tally;
  }

  #pick(): number {
    return Math.floor(this.#next() * this.#subject.sources.length);
  }

  #edit(): void {
    const at = this.#pick();
    const source = this.#subject.sources[at];
    if (source === undefined) return;
    const number = Math.floor(this.#next() * 1000);
    this.#numbers[at] = number;
    // From what was written, not from what is there: an edit that was undone must not be taken up as ours.
    const text = (this.#texts.get(source.file) ?? '').replace(source.form, source.line(number));
    this.#texts.set(source.file, text);
    writeFileSync(join(this.#folder, source.file), text);
  }

  #touch(): void {
    const source = this.#subject.sources[this.#pick()];
    if (source === undefined) return;
    const now = new Date();
    utimesSync(join(this.#folder, source.file), now, now);
  }

  #build(side: Side | 'cut'): Promise<Ended> {
    this.#tally[side] += 1;
    const run = this.#world.run(this.#subject.argv, {
      cwd: this.#folder,
      env: side === 'local' ? { RCH_BYPASS: '1' } : { RCH_FORCE_REMOTE: '1' },
    });
    return within(run, `a ${side} build`, LONGEST);
  }

  /** Bytes that ever came from the worker. */
  async #received(): Promise<number> {
    return (await this.#relay?.command({}))?.received ?? 0;
  }

  #problem(step: number, text: string): void {
    this.#tally.problems.push(`step ${step}: ${text}`);
    appendFileSync(join(this.#folder, '..', 'problems.log'), `step ${step}: ${text}\n`);
  }

  #says(): string {
    return execFileSync(join(this.#folder, this.#subject.program), { encoding: 'utf8' }).trim();
  }

  async #buildAndCheck(step: number, side: Side): Promise<void> {
    const before = await this.#received();
    const ended = await this.#build(side);
    if (side === 'remote' && !this.#subject.idle(ended))
      this.#returned = (await this.#received()) - before;
    this.#check(step, side, ended);
    const other: Side = side === 'local' ? 'remote' : 'local';
    const again = await this.#build(other);
    if (!this.#subject.idle(again))
      this.#problem(
        step,
        `a ${other} build after a ${side} one was not idle: ${again.stdout.toString()}${again.stderr.toString()}`,
      );
    this.#unharmed(step);
  }

  /** What must hold after each build that no edit fell into. */
  #check(step: number, side: string, ended: Ended): void {
    this.#unharmed(step);
    if (ended.code !== 0) {
      this.#problem(
        step,
        `${side} build failed: ${ended.stderr.toString()}${ended.stdout.toString()}`,
      );
      return;
    }
    const expected = this.#subject.expected(this.#numbers);
    const said = this.#says();
    if (said !== expected) this.#problem(step, `after a ${side} build: ${said}, not ${expected}`);
  }

  /** No edit was lost: each source is what was written last. */
  #unharmed(step: number): void {
    for (const [file, text] of this.#texts) {
      const found = readFileSync(join(this.#folder, file), 'utf8');
      if (found !== text) this.#problem(step, `an edit was lost: ${file} is ${found}, not ${text}`);
    }
  }

  /** The edit falls somewhere into the build; whatever this build made of it, the next must be right. */
  async #buildDuringEdit(step: number): Promise<void> {
    this.#edit();
    if (this.#relay === undefined) {
      await this.#buildAndCheck(step, 'remote');
      return;
    }
    const building = this.#build('remote');
    const edits = new Promise<void>((resolve) => {
      setTimeout(() => {
        this.#edit();
        resolve();
      }, this.#next() * 400);
    });
    await Promise.all([building, edits]);
    await this.#buildAndCheck(step, this.#next() < 0.5 ? 'local' : 'remote');
  }

  /** The connection ends somewhere in what comes back of a build; the command must end right all the same. */
  async #buildWithCut(step: number): Promise<void> {
    const relay = this.#relay;
    if (relay === undefined) {
      await this.#buildAndCheck(step, 'remote');
      return;
    }
    this.#edit();
    const cutAfter = 1 + Math.floor(this.#next() * this.#returned);
    const before = (await relay.command({ cutAfter })).received;
    this.#check(step, 'cut', await this.#build('cut'));
    const { received, cutAfter: left } = await relay.command({});
    await relay.command({ cutAfter: 0 });
    if (left === 0) this.#tally.cuts += 1;
    else this.#returned = received - before;
    // What follows is to go there again, not to run here because nothing is connected yet.
    if (left === 0)
      await until(
        async () => (await this.#world.workers()).every(({ state }) => state === 'connected'),
        'was the worker connected again',
      );
    await this.#buildAndCheck(step, this.#next() < 0.5 ? 'local' : 'remote');
  }
}
