/** Values made from files, which hold as long as every file they were made from is unchanged. */
import { statSync } from 'node:fs';
import { bytesOf, namesOf, stampOf } from './files.ts';

/**
 * Tells the cache which files and folders an entry depends on. Of a folder with `besides`, only which names it has
 * matters, that one left out: its times change with results that are placed in it, too.
 */
export type Watch = (path: string, besides?: string) => void;

/** `names`: of a folder of which these alone matter; `stamp` then only saves reading them, and is '' where it cannot. */
type Stamp = { stamp: string; readonly names: string | undefined; readonly besides: string };
type Stamps = Map<string, Stamp>;
type Entry<T> = { readonly stamps: Stamps; readonly value: T };

function watching(stamps: Stamps): Watch {
  return (path, besides) => {
    // Whoever needs the whole of a folder has it.
    const known = stamps.get(path);
    if (known !== undefined && (known.names === undefined || known.besides === besides)) return;
    const stamp = stampOf(path);
    const names = known === undefined && besides !== undefined ? namesOf(path, besides) : undefined;
    const settled = names === undefined || !racyNow(path);
    stamps.set(path, { stamp: settled ? stamp : '', names, besides: besides ?? '' });
  };
}

/** Whether what is at a path is what it was; notes when a folder with the same names has other times now. */
function holds(path: string, known: Stamp): boolean {
  const stamp = stampOf(path);
  if (stamp === known.stamp) return true;
  if (known.names === undefined || namesOf(path, known.besides) !== known.names) return false;
  known.stamp = racyNow(path) ? '' : stamp;
  return true;
}

/** A file changed so shortly before it was read may change again under the same mtime (kernel ticks are coarse). */
const RACY_MS = 20;

/** The names in a folder are read after `now`: only what came or went later, by a tick's reckoning, may be amiss. */
const RACY_NAMES_MS = 8;

function isRacy(path: string, since: number): boolean {
  const stat = statSync(bytesOf(path), { throwIfNoEntry: false });
  return stat !== undefined && Math.max(stat.mtimeMs, stat.ctimeMs) > since;
}

/** Whether the times of what is at a path may still stand when it changes once more. */
function racyNow(path: string): boolean {
  try {
    return isRacy(path, Date.now() - RACY_MS);
  } catch {
    return true;
  }
}

function racy(stamps: Stamps, now: number): boolean {
  for (const [path, { names }] of stamps) {
    try {
      if (isRacy(path, now - (names === undefined ? RACY_MS : RACY_NAMES_MS))) return true;
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
    const stamps: Stamps = new Map();
    const started = Date.now();
    const promise = make(watching(stamps))
      .then((value) => {
        if (!racy(stamps, started)) this.#keep(key, { stamps, value });
        return value;
      })
      .finally(() => this.#making.delete(key));
    this.#making.set(key, promise);
    return promise;
  }

  /** As `get`, for what is made without waiting; `kept` says by which key, where making it tells more of that. */
  getSync(key: string, make: (watch: Watch) => T, kept = (): string => key): T {
    const known = this.#known(key);
    if (known !== undefined) return known.value;
    const stamps: Stamps = new Map();
    const started = Date.now();
    const value = make(watching(stamps));
    if (!racy(stamps, started)) this.#keep(kept(), { stamps, value });
    return value;
  }

  #known(key: string): Entry<T> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    for (const [path, stamp] of entry.stamps) {
      if (!holds(path, stamp)) {
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
