/** Values made from files, which hold as long as every file they were made from is unchanged. */
import { statSync } from 'node:fs';
import { bytesOf, stampOf } from './files.ts';

/** Tells the cache which files and folders an entry depends on. */
export type Watch = (path: string) => void;

type Entry<T> = { readonly stamps: ReadonlyMap<string, string>; readonly value: T };

/** A file changed so shortly before it was read may change again under the same mtime (kernel ticks are coarse). */
const RACY_MS = 20;

function isRacy(path: string, now: number): boolean {
  const stat = statSync(bytesOf(path), { throwIfNoEntry: false });
  return stat !== undefined && Math.max(stat.mtimeMs, stat.ctimeMs) > now - RACY_MS;
}

function racy(paths: Iterable<string>, now: number): boolean {
  for (const path of paths) {
    try {
      if (isRacy(path, now)) return true;
    } catch {
      return true;
    }
  }
  return false;
}

/** A bounded map from keys to values made from files. */
export class StatCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #making = new Map<string, Promise<T>>();
  readonly #most: number;

  constructor(most = 500) {
    this.#most = most;
  }

  /** The value of `key`, made anew when a file it was made from has changed. */
  async get(key: string, make: (watch: Watch) => Promise<T>): Promise<T> {
    const known = this.#known(key);
    if (known !== undefined) return known.value;
    const running = this.#making.get(key);
    if (running !== undefined) return running;
    const stamps = new Map<string, string>();
    const started = Date.now();
    const promise = make((path) => stamps.set(path, stampOf(path)))
      .then((value) => {
        if (!racy(stamps.keys(), started)) this.#keep(key, { stamps, value });
        return value;
      })
      .finally(() => this.#making.delete(key));
    this.#making.set(key, promise);
    return promise;
  }

  /** As `get`, for what is made without waiting. */
  getSync(key: string, make: (watch: Watch) => T): T {
    const known = this.#known(key);
    if (known !== undefined) return known.value;
    const stamps = new Map<string, string>();
    const started = Date.now();
    const value = make((path) => stamps.set(path, stampOf(path)));
    if (!racy(stamps.keys(), started)) this.#keep(key, { stamps, value });
    return value;
  }

  #known(key: string): Entry<T> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    for (const [path, stamp] of entry.stamps) {
      if (stampOf(path) !== stamp) {
        this.#entries.delete(key);
        return undefined;
      }
    }
    return entry;
  }

  #keep(key: string, entry: Entry<T>): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= this.#most) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}
