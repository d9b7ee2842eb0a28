/**
 * What the front promises of a worker under any order of questions, commits and ends: its real account of jobs and the
 * real rule of how much a command gets, beside an agent whose own count comes late.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Jobs, type Job } from '../../daemon/front/jobs.ts';
import { usedSlots } from '../../daemon/lifecycle/worker.ts';
import { grantedSlots } from '../../daemon/select/select.ts';

const TOTALS = [4, 2] as const;

type Step =
  | {
      readonly does: 'ask';
      readonly worker: number;
      readonly caller: string;
      readonly wished: number;
    }
  /** Of those that are promised, or sent, the one of this number, counted round. */
  | { readonly does: 'send' | 'giveUp' | 'end' | 'count'; readonly which: number }
  /** A command that another's run serves; `alone`: it runs for itself after all. */
  | { readonly does: 'join'; readonly which: number; readonly alone: boolean }
  /** Another workstation holds so many there now. */
  | { readonly does: 'others'; readonly worker: number; readonly used: number };

const which = fc.nat({ max: 9 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('ask' as const),
      worker: fc.nat({ max: 1 }),
      caller: fc.constantFrom('a', 'b'),
      wished: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constantFrom('send' as const, 'send' as const, 'giveUp', 'end', 'count'),
      which,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('join' as const), which, alone: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('others' as const),
      worker: fc.nat({ max: 1 }),
      used: fc.integer({ min: 0, max: 3 }),
    }),
  },
);

type Command = {
  readonly id: string;
  readonly worker: number;
  readonly caller: string;
  /** What it was promised, and holds until its end; 0 while another's run serves it. */
  slots: number;
  state: 'promised' | 'sent' | 'over';
  /** The agent has counted it. */
  counted: boolean;
};

const name = (worker: number): string => `worker${worker}`;
const sum = (of: readonly Command[]): number => of.reduce((all, { slots }) => all + slots, 0);

function jobOf({ id, worker, slots, caller }: Command): Job {
  const job = { worker: name(worker), slots, line: { id }, steps: [], phase: '', key: '' };
  const holder = { caller: { key: caller, name: caller } };
  // The account looks at nothing else of a job.
  return { ...job, holder, since: 0, reuseMs: 0, orphan: false } as unknown as Job;
}

class Front {
  readonly jobs = new Jobs();
  readonly commands: Command[] = [];
  readonly others = [0, 0];

  in(...states: readonly Command['state'][]): Command[] {
    return this.commands.filter(({ state }) => states.includes(state));
  }

  /** Whether there is room is decided by what the agent told, and by what we know of our own. */
  #ask({ worker, caller, wished }: Extract<Step, { does: 'ask' }>): void {
    const total = TOTALS[worker] ?? 1;
    const live = this.in('promised', 'sent').filter((each) => each.worker === worker);
    const own = sum(live.filter(({ counted }) => counted));
    const others = this.others[worker] ?? 0;
    const told = { total, own, used: own + others };
    const slots = grantedSlots(wished, total, usedSlots(told, this.jobs.slotsOn(name(worker))));
    expect(sum(live) + others + slots, 'more is promised than there is').toBeLessThanOrEqual(
      slots === 0 ? Infinity : total,
    );
    if (slots === 0) {
      // It waits only where it would not get the half of what it could use.
      const whole = Math.min(wished, total);
      expect((total - others - sum(live)) * 2).toBeLessThan(whole);
      return;
    }
    const id = `job${this.commands.length}`;
    this.commands.push({ id, worker, caller, slots, state: 'promised', counted: false });
    this.jobs.reserve(id, { worker: name(worker), slots, caller });
  }

  do(step: Step): void {
    switch (step.does) {
      case 'ask':
        this.#ask(step);
        return;
      case 'send':
        this.#send(round(this.in('promised'), step.which));
        return;
      case 'giveUp':
        this.#giveUp(round(this.in('promised'), step.which));
        return;
      case 'end':
        this.#end(round(this.in('sent'), step.which));
        return;
      case 'count': {
        const job = round(this.in('sent'), step.which);
        if (job !== undefined) job.counted = job.slots > 0;
        return;
      }
      case 'join':
        this.#join(round(this.in('sent'), step.which), step.alone);
        return;
      case 'others': {
        const ours = sum(this.in('promised', 'sent').filter((each) => each.worker === step.worker));
        // The agent lends them no more than is left.
        this.others[step.worker] = Math.max(
          0,
          Math.min(step.used, (TOTALS[step.worker] ?? 1) - ours),
        );
      }
    }
  }

  #send(command: Command | undefined): void {
    if (command === undefined) return;
    this.jobs.add(jobOf(command));
    command.state = 'sent';
    expect(this.jobs.release(command.id), 'it was promised still').toBe(false);
  }

  #giveUp(command: Command | undefined): void {
    if (command === undefined) return;
    expect(this.jobs.release(command.id)).toBe(true);
    expect(this.jobs.release(command.id), 'given back twice').toBe(false);
    command.state = 'over';
  }

  #end(command: Command | undefined): void {
    if (command === undefined) return;
    expect(this.jobs.remove(command.id)).toBeDefined();
    expect(this.jobs.remove(command.id), 'ended twice').toBeUndefined();
    command.state = 'over';
  }

  #join(command: Command | undefined, alone: boolean): void {
    if (command === undefined || command.counted) return;
    this.jobs.joined(command.id, 'another');
    command.slots = 0;
    // What it takes now the agent tells.
    if (alone) this.jobs.joined(command.id, '');
  }

  check(): void {
    const live = this.in('promised', 'sent');
    for (const worker of TOTALS.keys())
      expect(this.jobs.slotsOn(name(worker))).toBe(
        sum(live.filter((each) => each.worker === worker)),
      );
    const held = new Map<string, number>();
    this.jobs.addHeld(held);
    for (const caller of ['a', 'b'])
      expect(held.get(caller) ?? 0).toBe(sum(live.filter((each) => each.caller === caller)));
    expect(this.jobs.all()).toHaveLength(this.in('sent').length);
  }
}

function round<T>(all: readonly T[], which: number): T | undefined {
  return all.length === 0 ? undefined : all[which % all.length];
}

// What is found once is found, however seldom.
it('promises each slot once, and counts it until its command ends', { tags: 'decisive' }, () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const front = new Front();
      for (const each of steps) {
        front.do(each);
        front.check();
      }
      while (front.in('promised').length > 0) front.do({ does: 'giveUp', which: 0 });
      while (front.in('sent').length > 0) front.do({ does: 'end', which: 0 });
      front.check();
      for (const worker of TOTALS.keys()) expect(front.jobs.slotsOn(name(worker))).toBe(0);
    }),
  );
});
