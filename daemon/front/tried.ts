/** Launchers whose commands came back before they had started: who turned them away, and who is to stay here. */
import type { JournalLine } from '../journal/record.ts';
import type { Subject } from './decision.ts';
import type { LeaseHolder } from './leases.ts';

export type Attempts = {
  /** The job's id: one command has one record, however many workers it went to. */
  readonly id: string;
  /** Reasons by worker. */
  readonly reasons: ReadonlyMap<string, string>;
  /** No worker would take it, for that reason. */
  readonly here: Stay | undefined;
};

/** What is known of a command that runs here after all. */
export type Stay = {
  readonly reason: string;
  readonly cores: number;
  readonly subject: Subject;
  readonly details: JournalLine['details'];
};

type TurnedAway = {
  readonly id: string;
  readonly worker: string;
  readonly reason: string;
  readonly here: Stay | undefined;
};

/** Launchers that are remembered; each asks again within milliseconds, or never. */
const MOST = 1000;

const keyOf = ({ pid, startTime }: Pick<LeaseHolder, 'pid' | 'startTime'>): string =>
  `${pid} ${startTime}`;

export class Tried {
  readonly #attempts = new Map<string, Attempts>();

  turnedAway(holder: LeaseHolder, by: TurnedAway): void {
    const key = keyOf(holder);
    const reasons = new Map(this.#attempts.get(key)?.reasons);
    reasons.set(by.worker, by.reason);
    this.#attempts.delete(key);
    this.#attempts.set(key, { id: by.id, reasons, here: by.here });
    const oldest = this.#attempts.keys().next();
    if (this.#attempts.size > MOST && oldest.done !== true) this.#attempts.delete(oldest.value);
  }

  /** What this launcher went through; undefined for one that asks for the first time. */
  of(holder: Pick<LeaseHolder, 'pid' | 'startTime'>): Attempts | undefined {
    return this.#attempts.get(keyOf(holder));
  }
}
