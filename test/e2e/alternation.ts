/**
 * The alternation fuzzer: edits, touches, local and remote builds in any order, edits during a build. After
 * every build the program must say what the sources say, and an idle build on the other side must find
 * nothing to do.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ended, World } from '../rig/world.ts';

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

export type Tally = { steps: number; remote: number; local: number; problems: string[] };

type Side = 'local' | 'remote';

export class Alternation {
  readonly #world: World;
  readonly #subject: Subject;
  readonly #folder: string;
  readonly #next: () => number;
  readonly #tally: Tally = { steps: 0, remote: 0, local: 0, problems: [] };
  #numbers: number[];

  constructor(world: World, subject: Subject, folder: string, seed: number) {
    this.#world = world;
    this.#subject = subject;
    this.#folder = folder;
    this.#next = random(seed);
    this.#numbers = subject.sources.map(() => 0);
  }

  async run(steps: number): Promise<Tally> {
    for (let step = 0; step < steps; step++) {
      this.#tally.steps += 1;
      const draw = this.#next();
      if (draw < 0.25) this.#edit();
      else if (draw < 0.35) this.#touch();
      else if (draw < 0.6) await this.#buildAndCheck(step, 'local');
      else if (draw < 0.9) await this.#buildAndCheck(step, 'remote');
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
    const file = join(this.#folder, source.file);
    writeFileSync(file, readFileSync(file, 'utf8').replace(source.form, source.line(number)));
  }

  #touch(): void {
    const source = this.#subject.sources[this.#pick()];
    if (source === undefined) return;
    const now = new Date();
    utimesSync(join(this.#folder, source.file), now, now);
  }

  #build(side: Side): Promise<Ended> {
    this.#tally[side] += 1;
    return this.#world.run(this.#subject.argv, {
      cwd: this.#folder,
      env: side === 'local' ? { RCH_BYPASS: '1' } : { RCH_FORCE_REMOTE: '1' },
    });
  }

  #problem(step: number, text: string): void {
    this.#tally.problems.push(`step ${step}: ${text}`);
    appendFileSync(join(this.#folder, '..', 'problems.log'), `step ${step}: ${text}\n`);
  }

  #says(): string {
    return execFileSync(join(this.#folder, this.#subject.program), { encoding: 'utf8' }).trim();
  }

  async #buildAndCheck(step: number, side: Side): Promise<void> {
    const ended = await this.#build(side);
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
    const other: Side = side === 'local' ? 'remote' : 'local';
    const again = await this.#build(other);
    if (!this.#subject.idle(again))
      this.#problem(
        step,
        `a ${other} build after a ${side} one was not idle: ${again.stdout.toString()}${again.stderr.toString()}`,
      );
  }

  /** The edit falls somewhere into the build; whatever this build made of it, the next must be right. */
  async #buildDuringEdit(step: number): Promise<void> {
    this.#edit();
    const building = this.#build('remote');
    const edits = new Promise<void>((resolve) => {
      setTimeout(() => {
        this.#edit();
        resolve();
      }, this.#next() * 400);
    });
    await Promise.all([building, edits]);
    const before = this.#numbers.join();
    await this.#buildAndCheck(step, this.#next() < 0.5 ? 'local' : 'remote');
    if (before !== this.#numbers.join()) this.#problem(step, 'an edit was lost');
  }
}
