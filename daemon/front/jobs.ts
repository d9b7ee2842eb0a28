/** Commands that were sent to a worker and have not ended. */
import { z } from 'zod';
import { journalLine, type JournalLine } from '../journal/record.ts';
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

/** What a link keeps of a job for a front that does not know it. */
const jobMemo = z.object({
  worker: z.string(),
  slots: z.number(),
  subject: z.object({ project: z.string(), kind: z.string() }),
  holder: z.object({
    pid: z.number(),
    startTime: z.string(),
    ppid: z.number(),
    command: z.string(),
    cwd: z.string(),
  }),
  line: journalLine,
});

export function memoOf({ worker, slots, subject, holder, line }: Job): z.infer<typeof jobMemo> {
  const startTime = holder.startTime.toString();
  return { worker, slots, subject, holder: { ...holder, startTime }, line };
}

/** The job of a memo; undefined when it is none of this version. */
export function jobOfMemo(memo: unknown): Job | undefined {
  const parsed = jobMemo.safeParse(memo);
  if (!parsed.success) return undefined;
  const { holder, line } = parsed.data;
  return {
    ...parsed.data,
    holder: { ...holder, startTime: BigInt(holder.startTime) },
    since: performance.now() - Math.max(0, Date.now() - Date.parse(line.startedAt)),
    phase: 'running',
    orphan: false,
  };
}

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
