/**
 * The line: every command that waits for room, on a worker or here, in one fair order (daemon/lifecycle/queue.ts).
 * Each says which places it wants; whoever is behind may only take a place that nobody ahead of it wants.
 */
import type { Priority } from '../../src/config/waiting-schema.ts';
import type { WaitingCommand } from '../../src/protocol/methods.ts';
import { inOrder } from '../lifecycle/queue.ts';
import type { CallerIdentity } from './caller.ts';
import { Remembered } from './remembered.ts';

/** The place of those who want to run here; no worker is called so. */
export const HERE = '';

/** Callers whose last turn is remembered. */
const MOST_SERVED = 1000;

export type Entry = {
  /** The id of the job. */
  readonly id: string;
  readonly caller: CallerIdentity;
  readonly priority: Priority;
  readonly cores: number;
  readonly pid: number;
  readonly command: string;
  readonly cwd: string;
  /** Ends it, as if it had been interrupted. */
  readonly cancel: () => void;
};

/** `wants` is empty until it is known what it waits for: it then stands in nobody's way. */
export type Ticket = Entry & { readonly since: number; readonly wants: ReadonlySet<string> };

type Standing = { -readonly [Name in keyof Ticket]: Ticket[Name] };

/** What running commands hold. */
export type Held = {
  /** Cores by key of the caller. */
  readonly cores: () => ReadonlyMap<string, number>;
  /** A larger number after each change of that. */
  readonly version: () => number;
};

type Ordered = { caller: string; priority: Priority; since: number; cores: number; ticket: Ticket };

export class Line {
  readonly #held: Held;
  readonly #served = new Map<string, number>();
  readonly #tickets = new Set<Ticket>();
  #version = 0;
  readonly #ordered = new Remembered(() => this.#sorted());

  constructor(held: Held) {
    this.#held = held;
  }

  join(entry: Entry, wants: ReadonlySet<string> = new Set()): Ticket {
    const ticket: Ticket = { ...entry, since: performance.now(), wants };
    this.#tickets.add(ticket);
    this.#version++;
    return ticket;
  }

  /** From now on it waits for these places. */
  want(ticket: Standing, wants: ReadonlySet<string>): void {
    ticket.wants = wants;
  }

  /** `served`: it got what it wanted, so that its caller's next turn comes later. May be called again. */
  leave(ticket: Ticket, served: boolean): void {
    if (!this.#tickets.delete(ticket)) return;
    this.#version++;
    if (!served) return;
    const { key } = ticket.caller;
    this.#served.delete(key);
    this.#served.set(key, performance.now());
    const [oldest] = this.#served.keys();
    if (this.#served.size > MOST_SERVED && oldest !== undefined) this.#served.delete(oldest);
  }

  /** The places that somebody ahead of it wants. */
  taken(ticket: Ticket): ReadonlySet<string> {
    const taken = new Set<string>();
    for (const each of this.#order()) {
      if (each === ticket) break;
      for (const place of each.wants) taken.add(place);
    }
    return taken;
  }

  /** From 1: the place among those who want anything that this one wants; and how many these are. */
  place(ticket: Ticket): { readonly at: number; readonly of: number } {
    const rivals = this.#order().filter(
      (each) => each === ticket || [...each.wants].some((place) => ticket.wants.has(place)),
    );
    return { at: rivals.indexOf(ticket) + 1, of: rivals.length };
  }

  /** Those who wait to run here, the next one first. */
  here(): Ticket[] {
    return this.#order().filter((each) => each.wants.has(HERE));
  }

  find(id: string): Ticket | undefined {
    return [...this.#tickets].find((each) => each.id === id);
  }

  /** All that wait, the next one first. */
  list(): WaitingCommand[] {
    const now = performance.now();
    const waiting = this.#order().filter(({ wants }) => wants.size > 0);
    return waiting.map((each, index) => ({
      id: each.id,
      place: index + 1,
      for: [...each.wants].map((place) => (place === HERE ? 'here' : place)),
      caller: each.caller.name,
      priority: each.priority,
      cores: each.cores,
      pid: each.pid,
      command: each.command,
      cwd: each.cwd,
      waitedMs: Math.round(now - each.since),
    }));
  }

  #order(): Ticket[] {
    return this.#ordered.of(this.#version + this.#held.version());
  }

  #sorted(): Ticket[] {
    const waiting = [...this.#tickets].map((ticket): Ordered => ({
      caller: ticket.caller.key,
      priority: ticket.priority,
      since: ticket.since,
      cores: ticket.cores,
      ticket,
    }));
    const held = this.#held.cores();
    const now = performance.now();
    return inOrder({ waiting, held, served: this.#served, now }).map(({ ticket }) => ticket);
  }
}

/** `rch: place 2 of 5 in line for a worker`. */
export function placeText({ at, of }: { at: number; of: number }, where: string): string {
  return `rch: place ${at} of ${of} in line for ${where}`;
}
