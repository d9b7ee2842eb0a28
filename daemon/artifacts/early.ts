/**
 * Fetches what a running command seems to have finished, so that little is left to bring when it ends. Nothing is
 * placed: contents wait in the spool, and only the manifest at the end says which of them are taken.
 *
 * It keeps out of the way of the command's streams, which share the wire: little at a time is asked for, as much as comes in
 * a moment, and then nothing for as long as that took.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../../src/base/result.ts';
import type { Hash } from '../../src/tree/manifest.ts';
import { LEAST_FREE, type Spool } from './spool.ts';

/** Bytes asked for at once, at least and at most; doubled while they come in less than QUICK ms, halved above SLOW ms. */
const LEAST_AT_ONCE = 64 * 1024;
const MOST_AT_ONCE = 16 * 1024 * 1024;
const QUICK_MS = 40;
const SLOW_MS = 120;
/** What one job may bring here before its end, bytes, however often it changes its files. */
const MOST_EARLY = 4e9;
/** Contents that wait to be asked for; what is offered beyond them comes at the end. */
const MOST_WAITING = 10_000;

/** A file that the agent thinks is finished. */
export type Offer = { readonly hash: Hash; readonly size: number };

/** The part of a content to be sent; `length` bytes from `offset`. */
export type Part = {
  readonly hash: Hash;
  readonly size: number;
  readonly offset: number;
  readonly length: number;
};

export type EarlyNeeds = {
  readonly spool: Spool;
  /** Asks the agent for a part, which arrives in the spool. */
  readonly fetchPart: (part: Part) => Promise<Result<undefined>>;
  /** Bytes free on the disk of the spool. */
  readonly free: () => Promise<number>;
  /** ms from a question to the worker to its answer, where there is nothing to bring. */
  readonly roundTrip: () => number;
};

/** A content that is asked for, as far as `offset`. */
type Begun = Offer & { offset: number };

/** How much is asked for at once. */
export class Pace {
  /** Bytes. */
  window = LEAST_AT_ONCE;

  /** So many bytes took so long on the wire, ms: without the time in which nothing was on it. */
  took(ms: number, bytes: number): void {
    if (ms < QUICK_MS && bytes >= this.window)
      this.window = Math.min(MOST_AT_ONCE, 2 * this.window);
    if (ms > SLOW_MS) this.window = Math.max(LEAST_AT_ONCE, this.window / 2);
  }
}

export class EarlyReturn {
  readonly #needs: EarlyNeeds;
  readonly #waiting: Offer[] = [];
  readonly #stopped = new AbortController();
  readonly #pace = new Pace();
  #budget = MOST_EARLY;
  /** The one in the middle. */
  #at: Begun | undefined;
  #working: Promise<void> | undefined;

  constructor(needs: EarlyNeeds) {
    this.#needs = needs;
  }

  offer(offers: readonly Offer[]): void {
    if (this.#stopped.signal.aborted) return;
    this.#waiting.push(...offers.slice(0, MOST_WAITING - this.#waiting.length));
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Ends it, once the parts that are on their way have come. The claim on a content in the middle stays. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#stopped.abort();
    await this.#working;
  }

  /** Gives up the content that was in the middle, if nobody went on with it. */
  async forget(): Promise<void> {
    if (
      this.#at !== undefined &&
      this.#needs.spool.claim(this.#at.hash, this.#at.size, this) !== undefined
    )
      await this.#needs.spool.drop(this.#at.hash, 'it was not needed');
    this.#at = undefined;
  }

  async #work(): Promise<void> {
    for (;;) {
      const began = performance.now();
      const parts = await this.#nextParts();
      if (parts.length === 0) return;
      await Promise.all(parts.map((part) => this.#bring(part)));
      const ms = Math.max(0, performance.now() - began - this.#needs.roundTrip());
      this.#pace.took(
        ms,
        parts.reduce((sum, { length }) => sum + length, 0),
      );
      await sleep(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
  }

  /** What is asked for at once: of small contents many, or a part of a large one. None: there are no more. */
  async #nextParts(): Promise<Part[]> {
    const parts: Part[] = [];
    let free = await this.#needs.free();
    for (let room = this.#pace.window; room > 0 && !this.#stopped.signal.aborted;) {
      const content = (this.#at ??= this.#begin(free));
      if (content === undefined) break;
      const { hash, size, offset } = content;
      const length = Math.min(room, size - offset);
      parts.push({ hash, size, offset, length });
      content.offset += length;
      room -= length;
      free -= length;
      if (content.offset === size) this.#at = undefined;
    }
    return parts;
  }

  /** The next content that is wanted; `free`: bytes on the disk. */
  #begin(free: number): Begun | undefined {
    const { spool } = this.#needs;
    for (let offer = this.#waiting.shift(); offer !== undefined; offer = this.#waiting.shift()) {
      const { hash, size } = offer;
      if (size <= 0 || size > this.#budget) continue;
      if (free < size + LEAST_FREE || spool.has(hash)) continue;
      if (spool.claim(hash, size, this) === undefined) continue;
      this.#budget -= size;
      return { hash, size, offset: 0 };
    }
    return undefined;
  }

  async #bring(part: Part): Promise<void> {
    const { hash, offset, length } = part;
    const arrived = this.#needs.spool.mark(hash, offset + length);
    const asked = await this.#needs.fetchPart(part);
    if (!asked.ok) await this.#needs.spool.drop(hash, asked.failure.reason);
    // A file that changed meanwhile is offered again.
    if (!(await arrived).ok && this.#at?.hash === hash) this.#at = undefined;
  }
}
