/**
 * Who is next: an order among waiting commands that is fair to their callers. Decides only.
 *
 * First the priority, which rises by one class for each AGE of waiting, so that a stream of urgent commands starves
 * nobody. Within a class the caller who holds the fewest cores now; of equals the one who was served longest ago; and
 * of one caller's commands the one that waits longest. Whoever is put into the order counts as served, so that a caller
 * with forty commands in line stands before nobody twice.
 */

import { priorities, type Priority } from '../../src/config/waiting-schema.ts';

/** ms of waiting that lift a command by one class. */
export const AGE = 60_000;

export type Waiting = {
  /** Of a CallerIdentity. */
  readonly caller: string;
  readonly priority: Priority;
  /** ms of a monotonic clock. */
  readonly since: number;
  /** Cores it would take. */
  readonly cores: number;
};

export type QueueView<W extends Waiting> = {
  readonly waiting: readonly W[];
  /** Cores that each caller's running commands hold, here and elsewhere. */
  readonly held: ReadonlyMap<string, number>;
  /** When each caller was served last, ms; callers who never were are missing. */
  readonly served: ReadonlyMap<string, number>;
  readonly now: number;
};

const classOf = ({ priority, since }: Waiting, now: number): number =>
  priorities.indexOf(priority) + Math.floor(Math.max(0, now - since) / AGE);

type Caller<W> = { readonly queue: W[]; held: number; served: number };

/** Negative: the first command of `a` goes before that of `b`. */
function compared<W extends Waiting>(a: Caller<W>, b: Caller<W>): number {
  const since = (caller: Caller<W>): number => caller.queue[0]?.since ?? Infinity;
  return a.held - b.held || a.served - b.served || since(a) - since(b);
}

/** One class: the callers take turns. */
function takeTurns<W extends Waiting>(all: Iterable<Caller<W>>): W[] {
  const order: W[] = [];
  const callers = [...all];
  for (;;) {
    const able = callers.filter(({ queue }) => queue.length > 0);
    const [first, ...others] = able;
    if (first === undefined) return order;
    const best = others.reduce((a, b) => (compared(b, a) < 0 ? b : a), first);
    const next = best.queue.shift();
    if (next === undefined) return order;
    best.held += next.cores;
    // Later than all that was, and than the turns before this one.
    best.served = Number.MAX_SAFE_INTEGER / 2 + order.push(next);
  }
}

/** All that wait, the next one first. */
export function inOrder<W extends Waiting>(view: QueueView<W>): W[] {
  const { waiting, held, served, now } = view;
  const classes = new Map<number, Map<string, Caller<W>>>();
  for (const each of [...waiting].sort((a, b) => a.since - b.since)) {
    const level = classOf(each, now);
    const callers = classes.get(level) ?? new Map<string, Caller<W>>();
    classes.set(level, callers);
    const caller = callers.get(each.caller) ?? {
      queue: [],
      held: held.get(each.caller) ?? 0,
      served: served.get(each.caller) ?? -1,
    };
    callers.set(each.caller, caller);
    caller.queue.push(each);
  }
  return [...classes.entries()]
    .sort(([a], [b]) => b - a)
    .flatMap(([, callers]) => takeTurns(callers.values()));
}
