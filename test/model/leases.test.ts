/**
 * Local leases under any order of what commands and their processes may do: the real desk and line, over processes that
 * are only in a table.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Changes } from '../../daemon/front/changes.ts';
import { LeaseDesk, type LeaseHolder } from '../../daemon/front/leases.ts';
import { Line } from '../../daemon/front/line.ts';
import { IDLE_GRACE } from '../../daemon/lifecycle/governor.ts';
import type { Priority } from '../../src/config/waiting-schema.ts';

/** What /proc shows: start times by pid, and the jiffies of all processors. */
const proc = vi.hoisted(() => ({
  started: new Map<number, number>(),
  idle: 0,
  all: 0,
}));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const readFileSync = (path: string, ...rest: never[]): unknown => {
    if (path === '/proc/stat') return `cpu  ${proc.all - proc.idle} 0 0 ${proc.idle} 0 0 0 0\n`;
    const pid = /^\/proc\/(\d+)\/stat$/.exec(path)?.[1];
    if (pid === undefined)
      return (fs.readFileSync as (...args: unknown[]) => unknown)(path, ...rest);
    const started = proc.started.get(Number(pid));
    if (started === undefined) throw new Error('no such process');
    return `${pid} (x) S 1 1 1 0 ${'0 '.repeat(14)}${started} 0`;
  };
  return { ...fs, readFileSync };
});

const LIMIT = 3;
/** ms; what the desk waits between two looks. */
const LOOK = 500;
const LONGEST = 8000;

type Step =
  | {
      readonly does: 'take';
      readonly caller: string;
      readonly cores: number;
      readonly priority: Priority;
      /** Its wait was over before it began. */
      readonly late: boolean;
    }
  /** A command that runs here already, as one whose worker was lost. */
  | { readonly does: 'adopt'; readonly caller: string; readonly cores: number }
  | { readonly does: 'cancel'; readonly which: number }
  /** `reused`: another process has its number at once. */
  | { readonly does: 'end'; readonly which: number; readonly reused: boolean }
  | { readonly does: 'look'; readonly times: number; readonly idle: boolean };

const small = fc.nat({ max: 9 });
const caller = fc.constantFrom('a', 'b', 'c');
const cores = fc.integer({ min: 1, max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('take' as const),
      ...{ caller, cores },
      priority: fc.constantFrom('normal', 'normal', 'low', 'high'),
      late: fc.integer({ min: 0, max: 9 }).map((roll) => roll === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('adopt' as const), caller, cores }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('cancel' as const), which: small }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('end' as const),
      which: small,
      reused: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('look' as const),
      times: fc.integer({ min: 1, max: 3 }),
      idle: fc.integer({ min: 0, max: 4 }).map((roll) => roll === 0),
    }),
  },
);

type Command = {
  readonly holder: LeaseHolder;
  readonly cores: number;
  readonly since: number;
  readonly giveUp: AbortController;
  state: 'waits' | 'runs' | 'dead' | 'left';
  readonly leases: number[];
  ends: number;
};

class Machine {
  readonly commands: Command[] = [];
  readonly wrong: string[] = [];
  readonly line = new Line({ cores: () => this.#held(), version: () => this.#versionOfHeld() });
  readonly desk = new LeaseDesk({
    line: this.line,
    limits: () => ({ cores: LIMIT, longestWait: LONGEST }),
    changes: new Changes(),
    changed: () => undefined,
  });
  #version = 0;
  #heldThen = '';
  /** ms that the machine has been idle by now. */
  #idle = 0;
  /** Those who may be let go at this moment, the first one first. */
  #expected: string[] = [];

  in(state: Command['state']): Command[] {
    return this.commands.filter((each) => each.state === state);
  }

  #held(): Map<string, number> {
    const held = new Map<string, number>();
    for (const { holder, cores } of this.in('runs'))
      held.set(holder.caller.key, (held.get(holder.caller.key) ?? 0) + cores);
    return held;
  }

  #versionOfHeld(): number {
    const held = JSON.stringify([...this.#held()]);
    if (held !== this.#heldThen) this.#version++;
    this.#heldThen = held;
    return this.#version;
  }

  #command(caller: string, cores: number, priority: Priority = 'normal'): Command {
    const pid = 1000 + this.commands.length;
    proc.started.set(pid, pid);
    const command: Command = {
      holder: {
        ...{ id: `job${pid}`, pid, startTime: BigInt(pid), ppid: 1, command: 'make', cwd: '/' },
        ...{ caller: { key: caller, name: caller }, priority, cores },
      },
      cores: Math.min(cores, LIMIT),
      ...{ since: performance.now(), giveUp: new AbortController() },
      ...{ state: 'waits', leases: [], ends: 0 },
    };
    this.commands.push(command);
    return command;
  }

  #granted(command: Command, lease: number, at: 'asked' | 'looked'): void {
    const used = this.in('runs').reduce((sum, { cores }) => sum + cores, 0);
    const fits = used + command.cores <= LIMIT || this.in('runs').length === 0;
    const waited = performance.now() - command.since;
    if (!fits && waited < LONGEST && this.#idle < IDLE_GRACE)
      this.wrong.push(`${command.cores} cores lent beside ${used} of ${LIMIT}`);
    const place = this.#expected.indexOf(command.holder.id);
    // Whoever has waited for the longest goes from wherever it stands.
    if (at === 'looked' && place !== 0 && waited < LONGEST)
      this.wrong.push(`${command.holder.id} overtook ${this.#expected[0] ?? 'nobody'}`);
    if (at === 'looked') this.#expected.splice(place, 1);
    command.state = 'runs';
    command.leases.push(lease);
  }

  take({ caller, cores, priority, late }: Extract<Step, { does: 'take' }>): void {
    const command = this.#command(caller, cores, priority);
    if (late) command.giveUp.abort();
    const { signal } = command.giveUp;
    const onEnd = (): void => {
      command.ends += 1;
    };
    const cancel = (): void => {
      command.giveUp.abort();
    };
    const wait = { signal, cancel, onPlace: () => undefined };
    const lease = this.desk.take(command.holder, wait, onEnd);
    if (typeof lease === 'number') {
      this.#granted(command, lease, 'asked');
      return;
    }
    void lease.then((given) => {
      if (given === undefined) command.state = 'left';
      else this.#granted(command, given, 'looked');
    });
  }

  #end(command: Command | undefined, reused: boolean): void {
    if (command === undefined) return;
    const { pid } = command.holder;
    if (reused) proc.started.set(pid, pid + 100_000);
    else proc.started.delete(pid);
    // The launcher's connection goes with it.
    command.giveUp.abort();
    if (command.state === 'runs') command.state = 'dead';
  }

  async look(times: number, idle: boolean): Promise<void> {
    for (let time = 0; time < times; time++) {
      proc.all += 100;
      if (idle) proc.idle += 100;
      this.#idle = idle && this.in('waits').length > 0 ? this.#idle + LOOK : 0;
      const till = performance.now() + LOOK;
      // Of commands that began just now the desk looks more often: the order is asked for before each look.
      while (performance.now() < till && vi.getTimerCount() > 0) {
        this.#expected = this.line.here().map(({ id }) => id);
        vi.advanceTimersToNextTimer();
        await settled();
        this.check();
      }
      vi.advanceTimersByTime(Math.max(0, till - performance.now()));
    }
  }

  async do(step: Step): Promise<void> {
    switch (step.does) {
      case 'take':
        this.take(step);
        break;
      case 'adopt': {
        const command = this.#command(step.caller, step.cores);
        command.state = 'runs';
        command.leases.push(
          this.desk.adopt(command.holder, () => {
            command.ends += 1;
          }),
        );
        break;
      }
      case 'cancel':
        this.line.find(round(this.in('waits'), step.which)?.holder.id ?? '')?.cancel();
        break;
      case 'end':
        this.#end(round([...this.in('runs'), ...this.in('waits')], step.which), step.reused);
        break;
      case 'look':
        await this.look(step.times, step.idle);
        break;
    }
    await settled();
    this.check();
  }

  check(): void {
    expect(this.wrong).toEqual([]);
    // Of the dead it knows at its next look.
    const counted = [...this.in('runs'), ...this.in('dead').filter(({ ends }) => ends === 0)];
    expect(this.desk.used).toBe(counted.reduce((sum, { cores }) => sum + cores, 0));
    expect(this.desk.list()).toHaveLength(counted.length);
    const leases = this.commands.flatMap((each) => each.leases);
    expect(new Set(leases).size).toBe(leases.length);
    const odd = this.commands.filter(
      ({ state, leases, ends }) =>
        leases.length !== (state === 'waits' || state === 'left' ? 0 : 1) ||
        ends > (state === 'dead' ? 1 : 0),
    );
    expect(odd).toEqual([]);
    const waiting = this.in('waits').map(({ holder }) => holder.id);
    expect(
      this.line
        .here()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(waiting.sort());
  }

  /** Everybody who runs ends, until nobody waits. */
  async finish(): Promise<void> {
    for (let rounds = 0; this.in('waits').length + this.in('runs').length > 0; rounds++) {
      expect(rounds, 'somebody waits for ever').toBeLessThan(100);
      for (const command of this.in('runs')) this.#end(command, false);
      await this.look(1, false);
    }
    await this.look(1, false);
    expect(this.in('dead').every(({ ends }) => ends === 1)).toBe(true);
    expect(this.desk.used).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  }
}

function round<T>(all: readonly T[], which: number): T | undefined {
  return all.length === 0 ? undefined : all[which % all.length];
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** All promises have told what they were resolved with. */
async function settled(): Promise<void> {
  for (let tick = 0; tick < 8; tick++) await Promise.resolve();
}

// What is found once is found, however seldom.
it(
  'lends each core once, in turn, until the process ends, and every wait ends',
  { tags: 'decisive' },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        proc.started.clear();
        vi.clearAllTimers();
        const machine = new Machine();
        for (const each of steps) await machine.do(each);
        await machine.finish();
        machine.desk.close();
      }),
      { numRuns: 100 },
    );
  },
);

it('tells how long a command took as exactly as it was short, also beside one that runs for long', () => {
  const machine = new Machine();
  const told: number[] = [];
  const begin = (pid: number): void => {
    proc.started.set(pid, pid);
    const holder = {
      id: `job${pid}`,
      pid,
      startTime: BigInt(pid),
      ppid: 1,
      command: 'make',
      cwd: '/',
    };
    const more = { caller: { key: 'a', name: 'a' }, priority: 'normal' as const, cores: 1 };
    machine.desk.adopt({ ...holder, ...more }, (ms) => told.push(ms));
  };
  begin(1);
  vi.advanceTimersByTime(60_000);
  const lengths = [7, 53, 400, 2600];
  for (const [at, length] of lengths.entries()) {
    begin(2 + at);
    vi.advanceTimersByTime(length);
    proc.started.delete(2 + at);
    vi.advanceTimersByTime(600);
  }
  machine.desk.close();
  expect(told).toHaveLength(lengths.length);
  for (const [at, length] of lengths.entries())
    expect(Math.abs((told[at] ?? 0) - length)).toBeLessThan(Math.max(5, length * 0.1));
});
