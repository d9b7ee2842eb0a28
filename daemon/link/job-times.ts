/** How long each part of a job takes, from the launcher's commit on, and its limit. All in ms. */
import { performance } from 'node:perf_hooks';
import type { Phases } from '../../src/protocol/ipc.ts';
import type { PrepareTimes } from '../sync/prepare.ts';

export class JobTimes {
  readonly prepare: PrepareTimes = { queue: 0, scan: 0, early: 0, sync: 0, sent: 0, tree: 0 };
  #began = performance.now();
  #startedAt = performance.now();
  #phases: Phases = {};
  #limit: NodeJS.Timeout | undefined;

  /** A link before this one began it; `at`: ms since the epoch. */
  tookUp(at: number): void {
    this.#began -= Math.max(0, Date.now() - at);
    this.#startedAt = this.#began;
  }

  committed(): void {
    this.#began = performance.now();
  }

  /** The worker is told to run. */
  ordered(): void {
    this.#startedAt = performance.now();
  }

  /** Told again after a reconnect: the first time counts. */
  started(): void {
    if (this.#phases.start !== undefined) return;
    const now = performance.now();
    this.#phases = { ...this.#phases, start: now - this.#startedAt };
    this.#startedAt = now;
  }

  ended(): void {
    clearTimeout(this.#limit);
    this.#phases = { ...this.#phases, run: performance.now() - this.#startedAt };
  }

  /** Calls `over` when the tool has run for so long; 0: never. */
  limit(ms: number, over: () => void): void {
    if (ms === 0) return;
    clearTimeout(this.#limit);
    const left = ms - (performance.now() - this.#startedAt);
    this.#limit = setTimeout(over, Math.max(0, left));
  }

  unlimit(): void {
    clearTimeout(this.#limit);
  }

  /** Adds what `work` takes to a part. */
  async spent<T>(part: 'return' | 'queue', work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await work();
    } finally {
      const took = performance.now() - began;
      if (part === 'queue') this.prepare.queue += took;
      else this.#phases = { ...this.#phases, return: took };
    }
  }

  /** From the question on: what the front took counts as queueing. */
  whole(waitedMs: number): Phases {
    const { queue, scan, sync } = this.prepare;
    const total = waitedMs + performance.now() - this.#began;
    return { queue: waitedMs + queue, scan, sync, ...this.#phases, total };
  }

  get bytes(): { sent: number; tree: number } {
    const { sent, tree } = this.prepare;
    return { sent, tree };
  }

  /** As the front is told: from the commit on. */
  get done(): Phases {
    const { queue, scan, early, sync } = this.prepare;
    const total = performance.now() - this.#began;
    return { queue, scan, early, sync, ...this.#phases, total };
  }
}
