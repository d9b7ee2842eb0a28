/**
 * Local leases: which heavy commands run here, known by (pid, start time), how many cores each may keep busy, and who
 * is let go when one ends. A lease ends with its process; nothing is held open across the exec.
 */
import { readFileSync } from 'node:fs';
import { processStat, startTimeOf } from '../../src/base/processes.ts';
import type { Priority } from '../../src/config/waiting-schema.ts';
import { admitted } from '../lifecycle/governor.ts';
import type { CallerIdentity } from './caller.ts';
import type { Changes } from './changes.ts';
import { HERE, type Line, type Ticket } from './line.ts';

/** ms between looks at the processes that hold leases; of those that began just now there are more. */
const LOOK = 500;
/** ms from the beginning of a lease to the first look at it. */
const FIRST_LOOK = 5;
/** ms between looks while somebody waits for the end of one. */
const WAITED_LOOK = 20;
/** Part of a lease's age after which it is looked at again: its end is known about as exactly. */
const LOOK_PART = 0.1;
/** Ancestors followed upwards at most. */
const DEPTH = 64;
/** Part of the processor that must be idle for the machine to count so. */
const IDLE_PART = 0.5;

export type LeaseHolder = {
  /** Of the job. */
  readonly id: string;
  readonly pid: number;
  readonly startTime: bigint;
  readonly ppid: number;
  readonly command: string;
  readonly cwd: string;
  readonly caller: CallerIdentity;
  readonly priority: Priority;
  /** Cores it would use. */
  readonly cores: number;
};

type Lease = {
  readonly holder: LeaseHolder;
  /** Cores it counts for. */
  readonly cores: number;
  readonly since: number;
  /** When its process was last seen to run. */
  seen: number;
  readonly onEnd: (ms: number) => void;
};

/** What is configured now. */
export type LeaseLimits = {
  /** Cores for heavy commands altogether. */
  readonly cores: number;
  /** ms after which nobody waits any longer. */
  readonly longestWait: number;
};

export type LeaseParts = {
  readonly line: Line;
  readonly limits: () => LeaseLimits;
  /** Rung when a lease ends. */
  readonly changes: Changes;
  /** There are others now, or fewer. */
  readonly changed: () => void;
};

/** How a command that wants a lease is told of its fate. */
export type Wait = {
  readonly signal: AbortSignal;
  /** Its place in line, now and whenever it is another. */
  readonly onPlace: (place: { readonly at: number; readonly of: number }) => void;
  /** Somebody cancelled it. */
  readonly cancel: () => void;
};

type Waiter = { readonly ticket: Ticket; readonly admit: () => void; readonly wait: Wait };

/** Jiffies of all processors: idle (with iowait) and all, from the first line of /proc/stat (proc(5)). */
function processorTimes(): { idle: number; all: number } {
  const fields = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.split(/\s+/).slice(1, 9);
  const numbers = (fields ?? []).map(Number);
  const all = numbers.reduce((sum, value) => sum + value, 0);
  return { idle: (numbers[3] ?? 0) + (numbers[4] ?? 0), all };
}

export class LeaseDesk {
  readonly #parts: LeaseParts;
  readonly #leases = new Map<number, Lease>();
  readonly #waiters = new Map<Ticket, Waiter>();
  #nextId = 1;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #idleSince: number | undefined;
  #times: { idle: number; all: number } | undefined;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
  }

  /** Cores for heavy commands altogether. */
  get limit(): number {
    return this.#parts.limits().cores;
  }

  /** Cores of those that run. */
  get used(): number {
    let used = 0;
    for (const { cores } of this.#leases.values()) used += cores;
    return used;
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
   * undefined when the wait is aborted first. `onEnd` is told how long the process lived after it.
   */
  take(
    holder: LeaseHolder,
    wait: Wait,
    onEnd: (ms: number) => void,
  ): number | Promise<number | undefined> {
    const { line } = this.#parts;
    const { id, caller, priority, pid, command, cwd } = holder;
    // Whoever asks does not run yet, whatever was made of its going away from a worker.
    if (this.#leases.get(pid)?.holder.startTime === holder.startTime) {
      this.#leases.delete(pid);
      this.#parts.changed();
    }
    const entry = { id, caller, priority, pid, command, cwd, cores: this.#counted(holder) };
    const ticket = line.join({ ...entry, cancel: wait.cancel }, new Set([HERE]));
    const fits = (): boolean => this.#fitting().includes(line.here().indexOf(ticket));
    // What it would wait for may be over since the last look.
    if (fits() || (this.#takeEnded(performance.now()) && fits())) {
      line.leave(ticket, true);
      return this.adopt(holder, onEnd);
    }
    return new Promise((resolve) => {
      const abort = (): void => {
        this.#waiters.delete(ticket);
        line.leave(ticket, false);
        this.#tellPlaces();
        resolve(undefined);
      };
      const admit = (): void => {
        wait.signal.removeEventListener('abort', abort);
        this.#waiters.delete(ticket);
        line.leave(ticket, true);
        resolve(this.adopt(holder, onEnd));
      };
      if (wait.signal.aborted) {
        line.leave(ticket, false);
        resolve(undefined);
        return;
      }
      wait.signal.addEventListener('abort', abort);
      this.#waiters.set(ticket, { ticket, admit, wait });
      wait.onPlace(line.place(ticket));
      this.#watch();
      this.#lookSoon();
    });
  }

  /** Gives a lease to a command that runs here already, room or not. */
  adopt(holder: LeaseHolder, onEnd: (ms: number) => void): number {
    const since = performance.now();
    const cores = this.#counted(holder);
    this.#leases.set(holder.pid, { holder, cores, since, seen: since, onEnd });
    this.#parts.changed();
    this.#watch();
    this.#lookSoon();
    return this.#nextId++;
  }

  list(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    this.#timer = undefined;
    this.#soon = undefined;
    this.#leases.clear();
  }

  /** A command that would take more cores than there are for all takes all of them. */
  #counted({ cores }: LeaseHolder): number {
    return Math.max(1, Math.min(cores, this.limit));
  }

  /** Places in line that may start now. */
  #fitting(): number[] {
    const now = performance.now();
    return admitted({
      waiting: this.#parts.line.here(),
      used: this.used,
      running: this.#leases.size,
      limit: this.limit,
      idleMs: this.#idleSince === undefined ? 0 : now - this.#idleSince,
      longestWait: this.#parts.limits().longestWait,
      now,
    });
  }

  #watch(): void {
    this.#timer ??= setInterval(() => {
      this.#look();
    }, LOOK);
  }

  #look(): void {
    const now = performance.now();
    const ended = this.#takeEnded(now);
    this.#measureIdle(now);
    this.#admit();
    if (ended) this.#parts.changes.ring();
    if (this.#leases.size > 0 || this.#waiters.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Most heavy commands are short, and what they take here is weighed: `LOOK` would be all that is known of it; and who
   * waits for them need not wait longer.
   */
  #lookSoon(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const now = performance.now();
    const ages = [...this.#leases.values()].map(({ since }) => now - since);
    const exact = Math.max(FIRST_LOOK, Math.min(...ages) * LOOK_PART);
    const ms = this.#waiters.size > 0 ? Math.min(exact, WAITED_LOOK) : exact;
    if (ages.length === 0 || ms >= LOOK) return;
    this.#soon = setTimeout(() => {
      if (this.#takeEnded(performance.now())) {
        this.#admit();
        this.#parts.changes.ring();
      }
      this.#lookSoon();
    }, ms);
  }

  /** Whether one of the processes that hold leases has ended. */
  #takeEnded(now: number): boolean {
    let ended = false;
    for (const [pid, lease] of this.#leases) {
      if (startTimeOf(pid) === lease.holder.startTime) {
        lease.seen = now;
        continue;
      }
      this.#leases.delete(pid);
      lease.onEnd((lease.seen + now) / 2 - lease.since);
      ended = true;
    }
    if (ended) this.#parts.changed();
    return ended;
  }

  #admit(): void {
    const here = this.#parts.line.here();
    const next = this.#fitting().flatMap((at) => here[at] ?? []);
    for (const ticket of next) this.#waiters.get(ticket)?.admit();
    if (next.length === 0) return;
    this.#idleSince = undefined;
    this.#tellPlaces();
  }

  #tellPlaces(): void {
    for (const { ticket, wait } of this.#waiters.values())
      wait.onPlace(this.#parts.line.place(ticket));
  }

  #measureIdle(now: number): void {
    if (this.#waiters.size === 0) {
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
