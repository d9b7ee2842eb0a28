/**
 * The agent's slots under any order of what workstations may do: the real class, beside a plain account of what was lent.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Slots, type SlotLease } from '../../src/agent/slots.ts';

const CPUS = [0, 1, 2, 3];

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Step =
  | {
      readonly does: 'take';
      readonly owner: number;
      readonly slots: number;
      readonly wished: number;
      readonly waitMs: number;
    }
  /** A job ends: of those that run, the one of this number, counted round. */
  | { readonly does: 'end'; readonly which: number }
  | { readonly does: 'abort'; readonly which: number }
  | { readonly does: 'pass'; readonly ms: number }
  /** All of a workstation's jobs are given up, those that wait and those that run. */
  | { readonly does: 'die'; readonly owner: number }
  /** It comes back and sees another number of slots; its jobs from before stay. */
  | { readonly does: 'reconnect'; readonly owner: number; readonly total: number };

const small = fc.nat({ max: 9 });
const owner = fc.nat({ max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('take' as const),
      owner,
      slots: fc.integer({ min: 0, max: 6 }),
      wished: fc.integer({ min: 1, max: 6 }),
      waitMs: fc.constantFrom(0, 50, 1000, 1000),
    }),
  },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('end' as const), which: small }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('abort' as const), which: small }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('pass' as const),
      ms: fc.constantFrom(10, 60, 1000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('die' as const), owner }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('reconnect' as const),
      owner,
      total: fc.integer({ min: 1, max: 6 }),
    }),
  },
);

type Job = {
  readonly owner: string;
  readonly needs: number;
  readonly total: number;
  readonly giveUp: AbortController;
  state: 'waits' | 'runs' | 'over';
  settled: number;
  lease: SlotLease | undefined;
};

/** The worker and its workstations, with an account of their own. */
class Worker {
  readonly slots: Slots;
  readonly jobs: Job[] = [];
  readonly totals = [4, 2, 6];
  /** What did not hold as slots were granted. */
  readonly wrong: unknown[] = [];
  readonly record: string[] = [];

  constructor() {
    this.slots = new Slots(CPUS, (line) => this.record.push(line));
  }

  in(state: Job['state']): Job[] {
    return this.jobs.filter((job) => job.state === state);
  }

  get used(): number {
    return this.in('runs').reduce((sum, { needs }) => sum + needs, 0);
  }

  heldBy(owner: string): number {
    const own = this.in('runs').filter((job) => job.owner === owner);
    return own.reduce((sum, { needs }) => sum + needs, 0);
  }

  /** Of those who wait the one whose turn is next: the workstation with the fewest slots, then who came first. */
  get next(): Job | undefined {
    const [first, ...others] = this.in('waits');
    return others.reduce<Job | undefined>(
      (best, job) =>
        best !== undefined && this.heldBy(job.owner) < this.heldBy(best.owner) ? job : best,
      first,
    );
  }

  take({ owner, slots, wished, waitMs }: Extract<Step, { does: 'take' }>): void {
    const total = this.totals[owner] ?? 1;
    const job: Job = {
      owner: `w${owner}`,
      needs: Math.max(1, Math.min(slots, total)),
      ...{ total, giveUp: new AbortController(), state: 'waits', settled: 0, lease: undefined },
    };
    const number = String(this.jobs.push(job));
    const wish = { job: number, owner: job.owner, slots, wished, total };
    const settle = (lease: SlotLease | undefined): void => {
      job.settled += 1;
      job.lease = lease;
      if (lease === undefined) job.state = 'over';
      else this.#grant(job, lease);
    };
    this.slots
      .take(wish, waitMs, job.giveUp.signal)
      .then(settle)
      .catch((thrown: unknown) => this.wrong.push(thrown));
  }

  #grant(job: Job, lease: SlotLease): void {
    expect(job.state).toBe('waits');
    // A newcomer goes only where nobody waits; then it is the next itself.
    expect(this.next, 'somebody was overtaken').toBe(job);
    job.state = 'runs';
    expect(lease).toMatchObject({ owner: job.owner, slots: job.needs });
    expect(this.used, 'more was lent than its workstation may see in use').toBeLessThanOrEqual(
      job.total,
    );
    expect(new Set(lease.affinity).size).toBe(lease.affinity.length);
    if (lease.affinity.length > 0) expect(lease.affinity).toHaveLength(job.needs);
  }

  end(job: Job | undefined): void {
    if (job?.lease === undefined || job.state !== 'runs') return;
    job.state = 'over';
    this.slots.give(job.lease);
  }

  async do(step: Step): Promise<void> {
    switch (step.does) {
      case 'take':
        this.take(step);
        return;
      case 'end':
        this.end(round(this.in('runs'), step.which));
        return;
      case 'abort':
        round(this.in('waits'), step.which)?.giveUp.abort();
        return;
      case 'pass':
        vi.advanceTimersByTime(step.ms);
        return;
      case 'die':
        await this.#die(`w${step.owner}`);
        return;
      case 'reconnect':
        this.totals[step.owner] = step.total;
    }
  }

  /** Those that wait leave at once, those that run end one after the other, as their processes do. */
  async #die(owner: string): Promise<void> {
    const own = this.jobs.filter((job) => job.owner === owner);
    for (const job of own) job.giveUp.abort();
    await settled();
    for (const job of own) {
      this.end(job);
      // Who was granted its slots by this end was so before the next one: the account has to know it first.
      await settled();
    }
  }

  check(): void {
    for (const thrown of this.wrong) throw thrown;
    expect(this.slots.used).toBe(this.used);
    for (const owner of ['w0', 'w1', 'w2'])
      expect(this.slots.heldBy(owner)).toBe(this.heldBy(owner));
    const { next } = this;
    if (next !== undefined)
      expect(this.used + next.needs, 'the next one waits although there is room').toBeGreaterThan(
        next.total,
      );
    const odd = this.jobs.filter(({ settled, state }) => settled !== (state === 'waits' ? 0 : 1));
    expect(odd).toEqual([]);
    // By what the agent writes down, too, no job got slots twice.
    const lent = this.record.flatMap((line) => /^slots \+\d+ for job (\d+)/.exec(line)?.[1] ?? []);
    expect(new Set(lent).size).toBe(lent.length);
  }
}

function round<T>(all: readonly T[], which: number): T | undefined {
  return all.length === 0 ? undefined : all[which % all.length];
}

/** All promises have told what they were resolved with. */
async function settled(): Promise<void> {
  for (let tick = 0; tick < 8; tick++) await Promise.resolve();
}

// What is found once is found, however seldom.
it(
  'lends no more than there is, nothing twice, in turn, and every wait ends',
  { tags: 'decisive' },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const worker = new Worker();
        for (const each of steps) {
          await worker.do(each);
          await settled();
          worker.check();
        }
        // In the end those who run end, and those who wait get their turn or tire.
        for (let last = worker.in('runs'); last.length > 0; last = worker.in('runs')) {
          worker.end(last[0]);
          await settled();
          worker.check();
        }
        vi.advanceTimersByTime(1000);
        await settled();
        worker.check();
        for (const job of worker.in('runs')) worker.end(job);
        expect(worker.in('waits')).toEqual([]);
        expect(worker.slots.used).toBe(0);
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 200 },
    );
  },
);
