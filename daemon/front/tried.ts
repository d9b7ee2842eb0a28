/** Which workers turned a launcher's command away before it had started, so that it is not sent there again. */
import type { LeaseHolder } from './leases.ts';

export type Attempts = {
  /** The job's id: one command has one record, however many workers it went to. */
  readonly id: string;
  /** Reasons by worker. */
  readonly reasons: ReadonlyMap<string, string>;
};

/** Launchers that are remembered; each asks again within milliseconds, or never. */
const MOST = 1000;

const keyOf = ({ pid, startTime }: Pick<LeaseHolder, 'pid' | 'startTime'>): string =>
  `${pid} ${startTime}`;

export class Tried {
  readonly #attempts = new Map<string, Attempts>();

  turnedAway(holder: LeaseHolder, by: { id: string; worker: string; reason: string }): void {
    const key = keyOf(holder);
    const reasons = new Map(this.#attempts.get(key)?.reasons);
    reasons.set(by.worker, by.reason);
    this.#attempts.delete(key);
    this.#attempts.set(key, { id: by.id, reasons });
    const oldest = this.#attempts.keys().next();
    if (this.#attempts.size > MOST && oldest.done !== true) this.#attempts.delete(oldest.value);
  }

  /** What this launcher went through; undefined for one that asks for the first time. */
  of(holder: Pick<LeaseHolder, 'pid' | 'startTime'>): Attempts | undefined {
    return this.#attempts.get(keyOf(holder));
  }
}
