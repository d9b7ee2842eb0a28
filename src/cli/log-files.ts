/**
 * The daemon's log on disk: FILE, and older ones that were FILE once and are now FILE.1, FILE.2 and so on
 * (daemon/journal/append-file.ts). Following goes on from one to the next, whatever is renamed meanwhile.
 */
import {
  createReadStream,
  fstatSync,
  openSync,
  closeSync,
  readSync,
  statSync,
  watch,
} from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

/** Older files than this there never are (general.log_keep_files). */
const MOST_FILES = 99;
/** ms between two looks where no event tells of a change. */
const LOOK = 1000;
const READ_BYTES = 256 * 1024;

const nameOf = (file: string, at: number): string => (at === 0 ? file : `${file}.${at}`);

/** The identity of a file by its name; undefined when there is none. */
function identityOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev} ${stat.ino}`;
}

/** A place in the log: a file, and bytes from its start. */
type Place = { readonly identity: string; readonly bytes: number };

/**
 * The newest `count` lines that `wanted` takes, oldest first; reads older files as far as need be. With `upTo`, of those
 * before that place.
 */
export async function lastLines(
  file: string,
  count: number,
  wanted: (line: string) => boolean,
  upTo?: Place,
): Promise<string[]> {
  let found: string[] = [];
  let end = upTo;
  for (let at = 0; at <= MOST_FILES && found.length < count; at += 1) {
    const path = nameOf(file, at);
    const identity = identityOf(path);
    // The newest is missing for a moment while it is rotated.
    if (identity === undefined && at > 0) break;
    // Newer than that place.
    if (identity === undefined || (end !== undefined && identity !== end.identity)) continue;
    const bytes = end?.bytes ?? Number.POSITIVE_INFINITY;
    end = undefined;
    if (bytes === 0) continue;
    const here: string[] = [];
    const input = createReadStream(path, { end: bytes - 1 });
    for await (const line of createInterface({ input }))
      if (line !== '' && wanted(line)) here.push(line);
    found = [...here.slice(Math.max(0, here.length + found.length - count)), ...found];
  }
  return found;
}

/** One file that is read to where it ends now, again and again. */
class Tail {
  readonly identity: string;
  readonly #descriptor: number;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  #at: number;
  /** Bytes of a line whose end is not there yet. */
  #rest = Buffer.alloc(0);

  /** `from`: bytes; by default from its end. Throws where there is no such file. */
  constructor(path: string, from?: number) {
    this.#descriptor = openSync(path, 'r');
    const stat = fstatSync(this.#descriptor, { bigint: true });
    this.identity = `${stat.dev} ${stat.ino}`;
    this.#at = from ?? Number(stat.size);
  }

  get place(): Place {
    return { identity: this.identity, bytes: this.#at };
  }

  read(print: (line: string) => void): void {
    for (;;) {
      const got = readSync(this.#descriptor, this.#buffer, 0, READ_BYTES, this.#at);
      if (got === 0) return;
      this.#at += got;
      const text = Buffer.concat([this.#rest, this.#buffer.subarray(0, got)]);
      const end = text.lastIndexOf(0x0a) + 1;
      this.#rest = text.subarray(end);
      for (const line of text.subarray(0, end).toString('utf8').split('\n'))
        if (line !== '') print(line);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** The file that was begun after this one; undefined while there is none. */
function successorOf(file: string, { identity }: Tail): Tail | undefined {
  for (let at = 0; at <= MOST_FILES; at += 1) {
    if (identityOf(nameOf(file, at)) !== identity) continue;
    return at === 0 ? undefined : openNew(nameOf(file, at - 1), identity);
  }
  // It is gone already, so the newest is the next best.
  return openNew(file, identity);
}

function openNew(path: string, before: string): Tail | undefined {
  try {
    const tail = new Tail(path, 0);
    if (tail.identity !== before) return tail;
    tail.close();
  } catch {
    // In the middle of a rotation: the next look finds it.
  }
  return undefined;
}

export class Follower {
  readonly #file: string;
  readonly #print: (line: string) => void;
  #tail: Tail | undefined;

  /** Begins at the end of the file as it is now, or at its start when it comes later. */
  constructor(file: string, print: (line: string) => void) {
    this.#file = file;
    this.#print = print;
    try {
      this.#tail = new Tail(file);
    } catch {
      // Not there yet.
    }
  }

  /** What is before it is not printed; undefined while there is no file. */
  get place(): Place | undefined {
    return this.#tail?.place;
  }

  /** Prints what came since the last look. */
  look(): void {
    this.#tail ??= openNew(this.#file, '');
    for (;;) {
      this.#tail?.read(this.#print);
      const next = this.#tail === undefined ? undefined : successorOf(this.#file, this.#tail);
      if (next === undefined) return;
      // What was written between the last read and the renaming.
      this.#tail?.read(this.#print);
      this.#tail?.close();
      this.#tail = next;
    }
  }

  /** Looks at each change until aborted. */
  follow(signal: AbortSignal): Promise<void> {
    const look = (): void => {
      this.look();
    };
    const timer = setInterval(look, LOOK);
    let watcher: ReturnType<typeof watch> | undefined;
    try {
      watcher = watch(dirname(this.#file), look);
      watcher.on('error', () => undefined);
    } catch {
      // No more watchers to be had, or no folder yet: the timer is enough.
    }
    look();
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        clearInterval(timer);
        watcher?.close();
        this.#tail?.close();
        resolve();
      });
    });
  }
}
