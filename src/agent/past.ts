/**
 * What became of jobs that are not here, beyond the agent's own life: a link that comes back runs a command elsewhere
 * only where its tool never began, and then it must not begin here either, whatever still is on its way. The file
 * `past` in the agent's folder has a line for each word, after a line feed each, so that one that was cut spoils no
 * other: `begun JOB` or `never JOB`. Of several about a job the last one counts.
 */
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { messageOf } from '../base/result.ts';
import type { Log } from './log.ts';

/** Jobs that are remembered: a link asks within its patience, or never. */
const MOST_PAST = 10_000;
/** Words in the file before it is written anew. */
const MOST_WORDS = 4 * MOST_PAST;

export type Fate = 'begun' | 'never';

const jobShape = /^[0-9a-f]{32}$/;
const wordShape = /^(begun|never) ([0-9a-f]{32})$/;

export class Past {
  readonly #path: string;
  readonly #log: Log;
  /** The newest last. */
  readonly #fates = new Map<string, Fate>();
  #words = 0;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    for (const word of wordsIn(path)) {
      const [, fate, hex = ''] = wordShape.exec(word) ?? [];
      this.#words += 1;
      if (fate === 'begun' || fate === 'never') this.#remember(hex, fate);
    }
  }

  /** Undefined for a job that was never heard of. */
  of(hex: string): Fate | undefined {
    return this.#fates.get(hex);
  }

  /** An agent before this one was at these jobs when it died: maybe one that wrote nothing down. */
  left(names: readonly string[]): void {
    for (const name of names)
      if (jobShape.test(name) && !this.#fates.has(name)) this.#remember(name, 'begun');
  }

  /** The tool of the job is about to begin. Throws when that cannot be written down: then it must not. */
  begun(hex: string): void {
    this.#write(`begun ${hex}`);
    this.#remember(hex, 'begun');
  }

  /** The tool of the job did not begin, and never will. */
  never(hex: string): void {
    this.#remember(hex, 'never');
    try {
      this.#write(`never ${hex}`);
    } catch (thrown) {
      // It holds for as long as this agent lives.
      this.#log(`job ${hex}: that it never began is not written down: ${messageOf(thrown)}`);
    }
  }

  #remember(hex: string, fate: Fate): void {
    this.#fates.delete(hex);
    this.#fates.set(hex, fate);
    const [oldest] = this.#fates.keys();
    if (this.#fates.size > MOST_PAST && oldest !== undefined) this.#fates.delete(oldest);
  }

  #write(word: string): void {
    if (this.#words >= MOST_WORDS) this.#shorten();
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    const file = openSync(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      const line = Buffer.from(`\n${word}`);
      if (writeSync(file, line) < line.length) throw new Error('the disk is full');
      this.#words += 1;
    } finally {
      closeSync(file);
    }
  }

  #shorten(): void {
    const words = [...this.#fates].map(([hex, fate]) => `\n${fate} ${hex}`);
    writeFileSync(`${this.#path}.new`, words.join(''), { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
    this.#words = words.length;
  }
}

function wordsIn(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n');
  } catch {
    return [];
  }
}
