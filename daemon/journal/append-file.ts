/**
 * A file of lines that only grows, for the journal and the log: lines are taken at once and written soon, in
 * batches, off the event loop; what cannot be written is dropped, never waited for. A file that reaches its bound
 * becomes FILE.1, the FILE.1 before it FILE.2, and so on; the oldest goes.
 */
import { constants, mkdirSync } from 'node:fs';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/base/result.ts';

/** Bytes of lines that wait while the disk does not take them; beyond it they are dropped. */
const MOST_WAITING = 4 * 1024 * 1024;

/** ms between two batches: a storm of small lines costs less than a write each. */
const APART = 50;

export type AppendOptions = {
  /** Bytes at which the file is rotated. */
  readonly limit: number;
  /** How many older files stay, at least 1; by default 1. */
  readonly keep?: number;
  /** Told once of the first failure after a success. */
  readonly onFailure: (reason: string) => void;
};

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
}

export class AppendFile {
  readonly #path: string;
  readonly #options: AppendOptions;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #file: FileHandle | undefined;
  #size = 0;
  #trouble = '';
  #writing: Promise<void> | undefined;
  /** When writing last began, by performance.now(). */
  #last = -Infinity;

  constructor(path: string, options: AppendOptions) {
    this.#path = path;
    this.#options = options;
  }

  /** Why the last lines could not be written; '' when they were. */
  get trouble(): string {
    return this.#trouble;
  }

  /** Takes a line, without its newline. */
  append(line: string): void {
    if (this.#waitingBytes > MOST_WAITING) return;
    this.#waiting.push(line, '\n');
    this.#waitingBytes += line.length + 1;
    this.#writing ??= this.#drain();
  }

  /** Settles when all that was appended before is written, or dropped. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    // The answers of this turn of the loop go first; of a burst, those of the next turns too.
    const early = this.#last + APART - performance.now();
    if (early > 0) await sleep(early);
    else await new Promise((resolve) => setImmediate(resolve));
    this.#last = performance.now();
    while (this.#waiting.length > 0) {
      const batch = Buffer.from(this.#waiting.join(''), 'utf8');
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#write(batch);
        this.#trouble = '';
      } catch (thrown) {
        const first = this.#trouble === '';
        this.#trouble = `${this.#path}: ${messageOf(thrown)}`;
        if (first) this.#options.onFailure(this.#trouble);
        const file = this.#file;
        this.#file = undefined;
        await file?.close().catch(() => undefined);
      }
    }
    this.#writing = undefined;
  }

  async #write(batch: Buffer): Promise<void> {
    if (this.#file !== undefined && this.#size + batch.length > this.#options.limit) {
      await this.#file.close();
      this.#file = undefined;
      await this.#rotate();
    }
    this.#file ??= await this.#open();
    await this.#file.appendFile(batch);
    this.#size += batch.length;
  }

  /** The oldest first, so that none is ever missing but for the newest. */
  async #rotate(): Promise<void> {
    for (let at = (this.#options.keep ?? 1) - 1; at >= 1; at -= 1) {
      try {
        await rename(`${this.#path}.${at}`, `${this.#path}.${at + 1}`);
      } catch (thrown) {
        if (!isMissing(thrown)) throw thrown;
      }
    }
    await rename(this.#path, `${this.#path}.1`);
  }

  async #open(): Promise<FileHandle> {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
    const file = await open(this.#path, flags | constants.O_NOFOLLOW, 0o600);
    this.#size = (await file.stat()).size;
    return file;
  }
}
