/** Commands that were sent to a worker and have not ended. */
import type { JournalLine } from '../journal/record.ts';
import type { Subject } from './decision.ts';
import type { LeaseHolder } from './leases.ts';

export type Job = {
  readonly worker: string;
  readonly slots: number;
  readonly subject: Subject;
  readonly holder: LeaseHolder;
  /** As it was recorded when it was sent. */
  readonly line: JournalLine;
  readonly since: number;
  phase: string;
  /** Its link died since: nothing may ever be heard of it. */
  orphan: boolean;
};

export class Jobs {
  readonly #jobs = new Map<string, Job>();

  add(job: Job): void {
    this.#jobs.set(job.line.id, job);
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** Takes a job out; undefined when it is not known, or was taken before. */
  remove(id: string): Job | undefined {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    return job;
  }

  all(): Job[] {
    return [...this.#jobs.values()];
  }

  countOn(worker: string): number {
    return this.all().filter((job) => job.worker === worker).length;
  }

  slotsOn(worker: string): number {
    let slots = 0;
    for (const job of this.#jobs.values()) if (job.worker === worker) slots += job.slots;
    return slots;
  }
}
