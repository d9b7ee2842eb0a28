/** Whether a heavy command may start here now: together they get so many cores. Decides only. */

export type Candidate = {
  /** Cores it would use, at least 1 and not more than there are for such commands. */
  readonly cores: number;
  /** ms of a monotonic clock. */
  readonly since: number;
};

export type GovernorView = {
  /** In the order in which they are to start. */
  readonly waiting: readonly Candidate[];
  /** Cores of those that run. */
  readonly used: number;
  readonly running: number;
  /** Cores for heavy commands altogether. */
  readonly limit: number;
  /** ms for which most of the processor has been idle; 0 when it is busy. */
  readonly idleMs: number;
  /** ms after which nobody waits any longer. */
  readonly longestWait: number;
  readonly now: number;
};

/**
 * ms of an idle machine after which the next is let go beyond the limit: what holds the leases then waits for
 * something (a server under cargo run, a debugger), perhaps for the very command in the line.
 */
export const IDLE_GRACE = 3000;

/**
 * Which of those in line may start now, by their places (from 0). Nobody overtakes the first, so that a wide one gets its
 * turn too, but whoever has waited too long; on a machine where nothing heavy runs one always may.
 */
export function admitted(view: GovernorView): number[] {
  let { used, running } = view;
  let fit = 0;
  for (const { cores } of view.waiting) {
    if (running > 0 && used + cores > view.limit) break;
    used += cores;
    running++;
    fit++;
  }
  const first = Math.max(fit, view.idleMs >= IDLE_GRACE ? 1 : 0);
  return view.waiting.flatMap(({ since }, at) =>
    at < first || view.now - since >= view.longestWait ? [at] : [],
  );
}
