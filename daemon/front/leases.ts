/**
 * Local leases: which heavy commands run here, known by (pid, start time), and who waits for one to end. A lease
 * ends with its process; nothing is held open across the exec.
 */
import { readFileSync } from 'node:fs';
import { processStat, startTimeOf } from '../../src/base/processes.ts';
import { admitted } from '../lifecycle/queue.ts';
import type { Changes } from './changes.ts';

/** ms between looks at the processes that hold leases. */
const LOOK = 500;
/** Ancestors followed upwards at most. */
const DEPTH = 64;
/** Part of the processor that must be idle for the machine to count so. */
const IDLE_PART = 0.5;

export type LeaseHolder = {
  readonly pid: number;
  readonly startTime: bigint;
  readonly ppid: number;
  readonly command: string;
  readonly cwd: string;
};

type Lease = {
  readonly holder: LeaseHolder;
  readonly since: number;
  readonly onEnd: (ms: number) => void;
};

type Waiter = {
  readonly id: number;
  readonly holder: LeaseHolder;
  readonly since: number;
  readonly admit: () => void;
};

/** Jiffies of all processors: idle (with iowait) and all, from the first line of /proc/stat (proc(5)). */
function processorTimes(): { idle: number; all: number } {
  const fields = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.split(/\s+/).slice(1, 9);
  const numbers = (fields ?? []).map(Number);
  const all = numbers.reduce((sum, value) => sum + value, 0);
  return { idle: (numbers[3] ?? 0) + (numbers[4] ?? 0), all };
}

export class LeaseDesk {
  readonly limit: number;
  readonly #changes: Changes;
  readonly #leases = new Map<number, Lease>();
  readonly #queue: Waiter[] = [];
  #nextId = 1;
  #timer: NodeJS.Timeout | undefined;
  #idleSince: number | undefined;
  #times: { idle: number; all: number } | undefined;

  /** `limit`: heavy commands at once; `changes` is rung when a lease ends. */
  constructor(limit: number, changes: Changes) {
    this.limit = limit;
    this.#changes = changes;
  }

  get running(): number {
    return this.#leases.size;
  }

  /** Whether a newcomer would have to wait. */
  get full(): boolean {
    return this.#leases.size >= this.limit;
  }

  /** True when an ancestor of the process already holds a lease: it is part of a heavy command. */
  under(holder: Pick<LeaseHolder, 'ppid'>): boolean {
    if (this.#leases.size === 0) return false;
    let pid = holder.ppid;
    for (let depth = 0; depth < DEPTH && pid > 1; depth++) {
      const stat = processStat(pid);
      if (stat === undefined) return false;
      if (this.#leases.get(pid)?.holder.startTime === stat.startTime) return true;
      pid = stat.ppid;
    }
    return false;
  }

  /**
   * Settles with a lease (a number for the launcher) when its turn has come, at once where there is room; with
   * undefined when `signal` aborts first. `onEnd` is told how long the process lived after it.
   */
  take(
    holder: LeaseHolder,
    signal: AbortSignal,
    onEnd: (ms: number) => void,
  ): number | Promise<number | undefined> {
    if (!this.full && this.#queue.length === 0) return this.adopt(holder, onEnd);
    return new Promise((resolve) => {
      const abort = (): void => {
        this.#leave(waiter);
        resolve(undefined);
      };
      const waiter: Waiter = {
        id: this.#nextId++,
        holder,
        since: performance.now(),
        admit: () => {
          signal.removeEventListener('abort', abort);
          resolve(this.adopt(holder, onEnd));
        },
      };
      if (signal.aborted) {
        resolve(undefined);
        return;
      }
      signal.addEventListener('abort', abort);
      this.#queue.push(waiter);
      this.#watch();
    });
  }

  /** Gives a lease to a command that runs here already, room or not. */
  adopt(holder: LeaseHolder, onEnd: (ms: number) => void): number {
    this.#leases.set(holder.pid, { holder, since: performance.now(), onEnd });
    this.#watch();
    return this.#nextId++;
  }

  /** How many wait before this process. */
  position(pid: number): number {
    return Math.max(
      0,
      this.#queue.findIndex((waiter) => waiter.holder.pid === pid),
    );
  }

  list(): { leases: readonly Lease[]; queue: readonly Waiter[] } {
    return { leases: [...this.#leases.values()], queue: this.#queue };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#leases.clear();
  }

  #leave(waiter: Waiter): void {
    const at = this.#queue.indexOf(waiter);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  #watch(): void {
    this.#timer ??= setInterval(() => {
      this.#look();
    }, LOOK);
  }

  #look(): void {
    const now = performance.now();
    for (const [pid, lease] of this.#leases) {
      if (startTimeOf(pid) === lease.holder.startTime) continue;
      this.#leases.delete(pid);
      lease.onEnd(now - lease.since);
    }
    this.#measureIdle(now);
    this.#admit(now);
    this.#changes.ring();
    if (this.#leases.size > 0 || this.#queue.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #admit(now: number): void {
    const count = admitted({
      waiting: this.#queue,
      running: this.#leases.size,
      limit: this.limit,
      idleMs: this.#idleSince === undefined ? 0 : now - this.#idleSince,
      now,
    });
    for (const waiter of this.#queue.splice(0, count)) waiter.admit();
    if (count > 0) this.#idleSince = undefined;
  }

  #measureIdle(now: number): void {
    if (this.#queue.length === 0) {
      this.#idleSince = undefined;
      this.#times = undefined;
      return;
    }
    const times = processorTimes();
    const before = this.#times;
    this.#times = times;
    if (before === undefined || times.all === before.all) return;
    const idle = (times.idle - before.idle) / (times.all - before.all) >= IDLE_PART;
    this.#idleSince = idle ? (this.#idleSince ?? now) : undefined;
  }
}
