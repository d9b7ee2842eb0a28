/** Whether a link lives, how long to wait before there is another, and when there need be none any more. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LinkProcess } from './link-process.ts';

/** Links that may die while they end the last jobs of a worker that is no longer wanted. */
const LAST_LIVES = 5;

/** ms before a link that died is forked again: doubled each time, up to the longest, with as much jitter. */
const FIRST_BACKOFF = 250;
const LONGEST_BACKOFF = 30_000;
/** ms of life after which a link's death starts the backoff anew. */
const STABLE = 60_000;
/** Heartbeats of silence, and ms at the least, after which a link does not live; it beats twice in each (daemon/link/link.ts). */
const SILENT_BEATS = 3;
const LEAST_SILENCE = 10_000;

export class Backoff {
  #bornAt = 0;
  #next = FIRST_BACKOFF;

  born(): void {
    this.#bornAt = performance.now();
  }

  /** ms to wait after a death, more after each in a row. */
  longer(): number {
    if (performance.now() - this.#bornAt > STABLE) this.#next = FIRST_BACKOFF;
    const wait = this.#next * (1 + Math.random());
    this.#next = Math.min(this.#next * 2, LONGEST_BACKOFF);
    return wait;
  }
}

/** Calls for the end of a link that says nothing any more: the next one takes up what it ran. */
export class Pulse {
  readonly #timer: NodeJS.Timeout;
  #heardAt = performance.now();

  /** `beatMs`: of its heartbeat. `onSilence` is given the ms of silence that were too many. */
  constructor(beatMs: number, onSilence: (ms: number) => void) {
    const silence = Math.max(LEAST_SILENCE, SILENT_BEATS * beatMs);
    let looked = this.#heardAt;
    this.#timer = setInterval(() => {
      const now = performance.now();
      // Whoever stood still ourselves (a stopped daemon) has not listened either.
      if (now - looked > silence / 3) this.#heardAt = now;
      looked = now;
      if (now - this.#heardAt >= silence) onSilence(silence);
    }, beatMs / 2);
  }

  heard(): void {
    this.#heardAt = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/**
 * Has the link that `next` gives end its jobs, and another after it should it die meanwhile; true when there are no jobs
 * any more, or links died too often, false when it was aborted before that.
 */
export async function lastLinks(
  next: () => LinkProcess | undefined,
  backoff: Backoff,
  signal: AbortSignal,
): Promise<boolean> {
  for (let lives = LAST_LIVES; lives > 0 && !signal.aborted; lives--) {
    const link = next();
    if (link === undefined || (await link.stop(undefined))) break;
    await delay(backoff.longer(), undefined, { signal }).catch(() => undefined);
  }
  return !signal.aborted;
}
