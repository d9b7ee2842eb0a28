/**
 * Fetches what a running command seems to have finished, so that little is left to bring when it ends. Nothing is
 * placed: contents wait in the spool, and only the manifest at the end says which of them are taken.
 *
 * It keeps out of the way of the command's streams, which share the wire: one small part at a time is asked for, as
 * large as comes in a moment, and then nothing for as long as that took.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../../src/base/result.ts';
import type { Hash } from '../../src/tree/manifest.ts';
import { LEAST_FREE, type Spool } from './spool.ts';

/** Bytes of a part, at least and at most; it is doubled while it comes in less than QUICK ms, halved above SLOW ms. */
const LEAST_PART = 64 * 1024;
const MOST_PART = 16 * 1024 * 1024;
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
};

export class EarlyReturn {
  readonly #needs: EarlyNeeds;
  readonly #waiting: Offer[] = [];
  readonly #stopped = new AbortController();
  #window = LEAST_PART;
  #budget = MOST_EARLY;
  #at: Offer | undefined;
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

  /** Ends it, once the part that is on its way has come. The claim on a content in the middle stays. */
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
    for (let offer = this.#waiting.shift(); offer !== undefined; offer = this.#waiting.shift()) {
      const { hash, size } = offer;
      if (size <= 0 || size > this.#budget) continue;
      if ((await this.#needs.free()) < size + LEAST_FREE || this.#needs.spool.has(hash)) continue;
      if (this.#needs.spool.claim(hash, size, this) === undefined) continue;
      this.#budget -= size;
      this.#at = offer;
      const came = await this.#bring(offer);
      if (!came) return;
      this.#at = undefined;
    }
  }

  /** False when it was stopped in the middle. */
  async #bring({ hash, size }: Offer): Promise<boolean> {
    for (let offset = 0; offset < size;) {
      if (this.#stopped.signal.aborted) return false;
      const length = Math.min(this.#window, size - offset);
      const began = performance.now();
      const arrived = this.#needs.spool.mark(hash, offset + length);
      const asked = await this.#needs.fetchPart({ hash, size, offset, length });
      if (!asked.ok) await this.#needs.spool.drop(hash, asked.failure.reason);
      // A file that changed meanwhile is offered again.
      if (!(await arrived).ok) return true;
      offset += length;
      await this.#rest(performance.now() - began, length);
    }
    return true;
  }

  async #rest(ms: number, length: number): Promise<void> {
    if (ms < QUICK_MS && length === this.#window)
      this.#window = Math.min(MOST_PART, 2 * this.#window);
    if (ms > SLOW_MS) this.#window = Math.max(LEAST_PART, this.#window / 2);
    await sleep(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
  }
}
