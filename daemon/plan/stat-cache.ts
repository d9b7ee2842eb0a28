/** Values made from files, which hold as long as every file they were made from is unchanged. */
import { statSync } from 'node:fs';
import { bytesOf, namesOf, stampOf } from './files.ts';

/**
 * Tells the cache which files and folders an entry depends on. Of a folder with `besides`, only which other names it has
 * matters: what comes and goes in it under that name changes its time, and nothing else.
 */
export type Watch = (path: string, besides?: string) => void;

type Stamp = { readonly stamp: string; readonly besides: string | undefined };
type Stamps = Map<string, Stamp>;
type Entry<T> = { readonly stamps: Stamps; readonly value: T };

const stamped = (path: string, besides: string | undefined): string =>
  besides === undefined ? stampOf(path) : namesOf(path, besides);

function watching(stamps: Stamps): Watch {
  return (path, besides) => {
    // Whoever needs the whole of a folder has it.
    const known = stamps.get(path);
    if (known !== undefined && (known.besides === undefined || known.besides === besides)) return;
    const wanted = known === undefined ? besides : undefined;
    stamps.set(path, { stamp: stamped(path, wanted), besides: wanted });
  };
}

/** A file changed so shortly before it was read may change again under the same mtime (kernel ticks are coarse). */
const RACY_MS = 20;

/** The names in a folder are read after `now`: only what came or went later, by a tick's reckoning, may be amiss. */
const RACY_NAMES_MS = 8;

function isRacy(path: string, since: number): boolean {
  const stat = statSync(bytesOf(path), { throwIfNoEntry: false });
  return stat !== undefined && Math.max(stat.mtimeMs, stat.ctimeMs) > since;
}

function racy(stamps: Stamps, now: number): boolean {
  for (const [path, { besides }] of stamps) {
    try {
      if (isRacy(path, now - (besides === undefined ? RACY_MS : RACY_NAMES_MS))) return true;
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
    for (const [path, { stamp, besides }] of entry.stamps) {
      if (stamped(path, besides) !== stamp) {
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
