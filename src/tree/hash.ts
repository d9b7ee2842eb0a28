/** BLAKE3 of files: a few small ones at once, the rest in threads, so that the event loop is never held up. */
import * as fs from 'node:fs';
import { availableParallelism } from 'node:os';
import { blake3, Blake3Hasher } from '@napi-rs/blake-hash';
import { fail, ok, type Result } from '../base/result.ts';
import {
  hashOne,
  openHeld,
  openOwn,
  type HashOneOutcome,
  type HashOneRequest,
} from './hash-one.ts';
import { HashThreads } from './hash-threads.ts';
import type { Range } from './holes.ts';
import type { Hash, RawPath } from './manifest.ts';
import { absolute } from './paths.ts';
import type { Identity } from './scan.ts';

export type HashRequest = {
  readonly path: RawPath;
  readonly identity: Identity;
  /** Where it held data after it had become what `identity` says. */
  readonly data?: readonly Range[] | undefined;
};

export type HashOutcome = HashOneOutcome;

/** What is hashed on the event loop: at most about 5 ms of work, where a thread would take 40 to start. */
const INLINE = { files: 64, bytes: 4 << 20 };
/** What a thread gets at once. */
const BATCH = { files: 200, bytes: 16 << 20 };

/** Bytes read at once on the event loop. */
const BLOCK = 1 << 20;

const zeros = Buffer.alloc(BLOCK);

/** The hash of bytes in memory. */
export function hashBytes(data: Uint8Array): Hash {
  return blake3(data).toString('hex');
}

function cut(requests: readonly HashOneRequest[], sizes: readonly number[]): HashOneRequest[][] {
  const batches: HashOneRequest[][] = [];
  let batch: HashOneRequest[] = [];
  let bytes = 0;
  requests.forEach((request, i) => {
    batch.push(request);
    bytes += sizes[i] ?? 0;
    if (batch.length < BATCH.files && bytes < BATCH.bytes) return;
    batches.push(batch);
    batch = [];
    bytes = 0;
  });
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** Hashes files and counts them. Close it at the end: its threads end by themselves only after some seconds. */
export class Hasher {
  readonly #threads: HashThreads;
  readonly #own: boolean;
  #block: Buffer | undefined;
  #files = 0;
  #bytes = 0;

  /**
   * `threads`: at most so many (default: one a core, four at most). `own`: also files that their owner may not read, as far
   * as that is us (openOwn); only for trees that are ours.
   */
  constructor(options: { threads?: number; own?: boolean } = {}) {
    this.#own = options.own ?? false;
    this.#threads = new HashThreads(options.threads ?? Math.min(4, availableParallelism()));
  }

  /** What was hashed so far. */
  get counts(): { readonly files: number; readonly bytes: number } {
    return { files: this.#files, bytes: this.#bytes };
  }

  /**
   * Hashes files below `root` that must be those of their identities; outcomes in the order asked. With `growing`,
   * a file that only grows meanwhile is hashed as it was when it was scanned.
   */
  async hashFiles(
    root: Buffer,
    requests: readonly HashRequest[],
    options: { growing?: boolean } = {},
  ): Promise<HashOutcome[]> {
    const growing = options.growing ?? false;
    const work = requests.map(({ path, identity: i, data }): HashOneRequest => {
      const mode = BigInt(i.mode);
      const want = [i.dev, i.ino, BigInt(i.size), i.mtime, i.ctime, mode] as const;
      return { path: absolute(root, path), want, growing, own: this.#own, data };
    });
    const sizes = requests.map((request) => request.identity.size);
    return this.#run(work, sizes);
  }

  /** Hashes one file by its absolute path, whatever it is. */
  async hashFile(path: Buffer): Promise<Result<{ hash: Hash; size: number }>> {
    let size: number;
    try {
      size = fs.statSync(path).size;
    } catch (thrown) {
      return fail((thrown as Error).message);
    }
    const outcomes = await this.#run(
      [{ path, want: undefined, growing: false, own: this.#own }],
      [size],
    );
    const outcome = outcomes[0];
    if (outcome?.outcome === 'hashed') return ok({ hash: outcome.hash, size: outcome.size });
    const why = outcome?.outcome === 'unreadable' ? outcome.code : outcome?.outcome;
    return fail(`${path.toString()} cannot be hashed: ${why ?? 'no outcome'}`);
  }

  /** Ends the threads. */
  close(): Promise<void> {
    return this.#threads.close();
  }

  async #run(work: readonly HashOneRequest[], sizes: readonly number[]): Promise<HashOutcome[]> {
    if (work.length === 0) return [];
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const outcomes: HashOutcome[] = [];
    if (work.length <= INLINE.files && total <= INLINE.bytes) {
      this.#block ??= Buffer.allocUnsafeSlow(BLOCK);
      const tools = {
        fs,
        openOwn,
        openHeld,
        blake: { blake3, Blake3Hasher },
        block: this.#block,
        zeros,
      };
      for (const request of work) outcomes.push(hashOne(tools, request));
    } else {
      const batches = cut(work, sizes).map((batch) => this.#threads.run(batch));
      for (const batch of await Promise.all(batches))
        for (const outcome of batch) outcomes.push(outcome);
    }
    for (const outcome of outcomes) {
      if (outcome.outcome !== 'hashed') continue;
      this.#files += 1;
      this.#bytes += outcome.size;
    }
    return outcomes;
  }
}
