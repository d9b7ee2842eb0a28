/**
 * The history of decisions: the newest in memory, all of them (up to the bound of the file) in history.jsonl.
 * Recording never waits for the disk. After a crash a torn last line is cut; a file with anything else that is no
 * record is set aside, and what can be read of it is kept.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { messageOf } from '../../src/base/result.ts';
import { replaceFile } from '../../src/config/replace-file.ts';
import { AppendFile } from './append-file.ts';
import { lineText, parseLine, type JournalLine } from './record.ts';

/** Records kept in memory. */
const IN_MEMORY = 1000;
/** Bytes at which the file is rotated; one older file is kept. */
export const HISTORY_LIMIT = 8 * 1024 * 1024;
/** Bytes at the end of the file that are read at start. */
const TAIL = 2 * 1024 * 1024;

export type Complain = (what: string) => void;

type Tail = { readonly lines: readonly string[]; readonly whole: boolean };

/** Cuts a torn last line off the file and returns the lines at its end. */
function readTail(path: string): Tail {
  const file = openSync(path, 'r+');
  try {
    const size = fstatSync(file).size;
    const from = Math.max(0, size - TAIL);
    const bytes = Buffer.alloc(size - from);
    readSync(file, bytes, 0, bytes.length, from);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end < bytes.length && (end > 0 || from === 0)) ftruncateSync(file, from + end);
    const begin = from === 0 ? 0 : bytes.indexOf(0x0a) + 1;
    const text = bytes.subarray(begin, Math.max(begin, end)).toString('utf8');
    return { lines: text.split('\n').filter((line) => line !== ''), whole: from === 0 };
  } finally {
    closeSync(file);
  }
}

export class History {
  readonly #path: string;
  readonly #complain: Complain;
  readonly #file: AppendFile;
  /** By id, in the order of their first line. */
  readonly #recent = new Map<string, JournalLine>();
  /** Memory holds all there is. */
  #complete = true;
  /** ms that a record is remembered. */
  #keptMs = Number.POSITIVE_INFINITY;
  /** Hears of each record, while it is set. */
  onRecord: ((line: JournalLine) => void) | undefined;

  private constructor(path: string, complain: Complain) {
    this.#path = path;
    this.#complain = complain;
    this.#file = new AppendFile(path, { limit: HISTORY_LIMIT, onFailure: complain });
  }

  /** Opens the history, whatever state it is in; what is wrong goes to `complain`. */
  static open(path: string, complain: Complain): History {
    const history = new History(path, complain);
    history.#load();
    return history;
  }

  /** Adds a decision, or what became of one that was added before. */
  record(line: JournalLine): void {
    this.#remember(line);
    this.#file.append(lineText(line));
    this.onRecord?.(line);
  }

  /** The record in memory whose id starts so. */
  find(id: string): JournalLine | undefined {
    const exact = this.#recent.get(id);
    if (exact !== undefined) return exact;
    return this.newest((line) => line.id.startsWith(id));
  }

  /** From now on records older than so many days are no longer told, and go from memory and files. */
  async retain(days: number): Promise<void> {
    const keptMs = days * 86_400_000;
    if (keptMs === this.#keptMs) return;
    this.#keptMs = keptMs;
    for (const line of this.#recent.values()) if (this.#old(line)) this.#recent.delete(line.id);
    await this.#file.close();
    for (const path of [`${this.#path}.1`, this.#path]) this.#prune(path);
    // What was opened meanwhile may be the file that was replaced.
    await this.#file.close();
  }

  newest(matches: (line: JournalLine) => boolean): JournalLine | undefined {
    return [...this.#recent.values()].reverse().find(matches);
  }

  /** Those in memory, oldest first. */
  recent(): IterableIterator<JournalLine> {
    return this.#recent.values();
  }

  /** The `n` newest that match, newest first; reads the files when memory has not enough. */
  async last(
    n: number,
    matches: (line: JournalLine) => boolean = () => true,
  ): Promise<JournalLine[]> {
    const wanted = (line: JournalLine): boolean => !this.#old(line) && matches(line);
    const recent = [...this.#recent.values()].filter(wanted).reverse();
    if (recent.length >= n || this.#complete) return recent.slice(0, n);
    await this.settled();
    const all = new Map<string, JournalLine>();
    for (const path of [`${this.#path}.1`, this.#path])
      for (const line of this.#linesOf(path)) all.set(line.id, line);
    return [...all.values()].filter(wanted).reverse().slice(0, n);
  }

  /** Settles when what was recorded is on disk, or given up. */
  settled(): Promise<void> {
    return this.#file.flush();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #remember(line: JournalLine): void {
    this.#recent.set(line.id, line);
    if (this.#recent.size <= IN_MEMORY) return;
    const oldest = this.#recent.keys().next();
    if (oldest.done !== true) this.#recent.delete(oldest.value);
    this.#complete = false;
  }

  #old(line: JournalLine): boolean {
    return Date.now() - Date.parse(line.startedAt) > this.#keptMs;
  }

  /** Takes what is too old out of a file. */
  #prune(path: string): void {
    const lines = this.#linesOf(path);
    const young = lines.filter((line) => !this.#old(line));
    if (young.length === lines.length) return;
    const text = young.map((line) => `${JSON.stringify(line)}\n`).join('');
    const written = replaceFile(path, text, { mode: 0o600, always: true });
    if (!written.ok) this.#complain(written.failure.reason);
  }

  #linesOf(path: string): JournalLine[] {
    try {
      const texts = readFileSync(path, 'utf8').split('\n');
      return texts.map(parseLine).filter((line) => line !== undefined);
    } catch {
      return [];
    }
  }

  #load(): void {
    this.#complete = !existsSync(`${this.#path}.1`);
    let tail: Tail;
    try {
      tail = readTail(this.#path);
    } catch (thrown) {
      const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
      if (!missing) this.#complain(`${this.#path} cannot be read: ${messageOf(thrown)}`);
      return;
    }
    if (!tail.whole) this.#complete = false;
    const lines = tail.lines.map(parseLine);
    for (const line of lines) if (line !== undefined) this.#remember(line);
    if (lines.includes(undefined)) this.#setAside();
  }

  /** Moves the file to FILE.corrupt and starts a new one with the lines that can be read. */
  #setAside(): void {
    const aside = `${this.#path}.corrupt`;
    try {
      const good = this.#linesOf(this.#path).map((line) => `${lineText(line)}\n`);
      renameSync(this.#path, aside);
      writeFileSync(this.#path, good.join(''), { mode: 0o600 });
      this.#complain(`${this.#path} held lines that are no records: it was set aside as ${aside}`);
    } catch (thrown) {
      this.#complain(`${this.#path} is damaged: ${messageOf(thrown)}`);
    }
  }
}
