/** Commands that were sent to a worker and have not ended. */
import { z } from 'zod';
import { priorities } from '../../src/config/waiting-schema.ts';
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
  /** Equal for commands of which one run may serve all; '' for one that only serves itself, or whose link died. */
  readonly key: string;
  /** ms for which its result may answer once more. */
  readonly reuseMs: number;
  phase: string;
  /** The phases it went through, this one last; `since` as performance.now(). */
  readonly steps: { readonly phase: string; readonly since: number }[];
  /** Its link died since: nothing may ever be heard of it. */
  orphan: boolean;
};

/** What a link keeps of a job for a front that does not know it. */
const jobMemo = z.object({
  worker: z.string(),
  slots: z.number(),
  subject: z.object({ project: z.string(), kind: z.string(), group: z.string().optional() }),
  holder: z.object({
    id: z.string().default(''),
    pid: z.number(),
    startTime: z.string(),
    ppid: z.number(),
    command: z.string(),
    cwd: z.string(),
    caller: z.object({ key: z.string(), name: z.string() }).default({ key: '', name: '' }),
    priority: z.enum(priorities).default('normal'),
    cores: z.number().default(1),
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
    key: '',
    reuseMs: 0,
    phase: 'running',
    steps: [],
    orphan: false,
  };
}

/** Phases that are remembered of a job. */
const MOST_STEPS = 32;

/** Where a command with some key was sent. */
export type Twin = { readonly worker: string; readonly job: string };

/** Slots of a worker that a command was promised which is not sent there yet. */
type Promised = { readonly worker: string; readonly slots: number; readonly caller: string };

export class Jobs {
  readonly #jobs = new Map<string, Job>();
  /** By key: commands that are about to be sent, and results that may answer once more. */
  readonly #twins = new Map<string, Twin>();
  readonly #promised = new Map<string, Promised>();
  #version = 0;

  /** A larger number after each change of what jobs hold. */
  get version(): number {
    return this.#version;
  }

  /** From now on these slots count as taken, until the job is added or `release`d. */
  reserve(id: string, promised: Promised): void {
    this.#promised.set(id, promised);
    this.#version++;
  }

  /** True when something had been reserved. */
  release(id: string): boolean {
    this.#version++;
    return this.#promised.delete(id);
  }

  add(job: Job): void {
    this.#promised.delete(job.line.id);
    this.#jobs.set(job.line.id, job);
    this.#version++;
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** The job of a launcher. */
  of({ pid, startTime }: Pick<LeaseHolder, 'pid' | 'startTime'>): Job | undefined {
    for (const job of this.#jobs.values())
      if (job.holder.pid === pid && job.holder.startTime === startTime) return job;
    return undefined;
  }

  /** Takes a job out; undefined when it is not known, or was taken before. */
  remove(id: string): Job | undefined {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    this.#version++;
    return job;
  }

  /** The job, or what became of it, that may serve another command with this key. */
  twinOf(key: string): Twin | undefined {
    if (key === '') return undefined;
    for (const job of this.#jobs.values())
      if (job.key === key && !job.orphan) return { worker: job.worker, job: job.line.id };
    return this.#twins.get(key);
  }

  /** A command with this key is about to be sent, or its result is kept there; until the returned function is called. */
  promise(key: string, twin: Twin): () => void {
    if (key !== '') this.#twins.set(key, twin);
    return () => {
      if (this.#twins.get(key) === twin) this.#twins.delete(key);
    };
  }

  /** The result of a job may answer once more, for as long as was asked for. */
  keep(job: Job): void {
    if (job.reuseMs === 0) return;
    const forget = this.promise(job.key, { worker: job.worker, job: job.line.id });
    setTimeout(forget, job.reuseMs).unref();
  }

  /** It is in another phase from now on. */
  entered(id: string, phase: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    job.phase = phase;
    job.steps.push({ phase, since: performance.now() });
    // Of one that waits again and again, the beginning and the end tell enough.
    if (job.steps.length > MOST_STEPS) job.steps.splice(MOST_STEPS / 2, 1);
  }

  /** The run of job `to` serves this one too; '': it runs for itself after all. */
  joined(id: string, to: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    this.#version++;
    const own = { ...job.line };
    delete own.joined;
    if (to === '') this.#jobs.set(id, { ...job, phase: 'waiting', line: own });
    // Whom another serves takes no slot; of one that runs after all the worker tells.
    else
      this.#jobs.set(id, {
        ...job,
        slots: 0,
        phase: `joined to ${to.slice(0, 8)}`,
        line: { ...own, joined: to },
      });
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
    for (const each of this.#promised.values()) if (each.worker === worker) slots += each.slots;
    return slots;
  }

  /** Adds to `held` what each caller's jobs hold of workers. */
  addHeld(held: Map<string, number>): void {
    const add = (caller: string, slots: number): void => {
      held.set(caller, (held.get(caller) ?? 0) + slots);
    };
    for (const { holder, slots } of this.#jobs.values()) add(holder.caller.key, slots);
    for (const { caller, slots } of this.#promised.values()) add(caller, slots);
  }
}
