/** Which heavy local command may start next: at most `limit` at once, first come first served. Decides only. */

export type Waiting = {
  readonly id: number;
  /** ms of a monotonic clock. */
  readonly since: number;
};

export type QueueView = {
  /** In the order of arrival. */
  readonly waiting: readonly Waiting[];
  readonly running: number;
  readonly limit: number;
  /** ms for which most of the processor has been idle; 0 when it is busy. */
  readonly idleMs: number;
  readonly now: number;
};

/**
 * ms of an idle machine after which the next is let go beyond the limit: what holds the leases then waits for
 * something (a server under cargo run, a debugger), perhaps for the very command in the queue.
 */
export const IDLE_GRACE = 3000;
/** ms after which nobody waits any longer. */
export const LONGEST_WAIT = 600_000;

/** How many of the first in the queue may start now. */
export function admitted(view: QueueView): number {
  const free = Math.max(0, view.limit - view.running);
  if (view.waiting.length <= free) return view.waiting.length;
  const overdue = view.waiting.filter((each) => view.now - each.since >= LONGEST_WAIT).length;
  const idle = view.idleMs >= IDLE_GRACE ? 1 : 0;
  return Math.max(free, overdue, idle);
}
