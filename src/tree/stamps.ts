/** The one rule for times: what a run made gets one stamp on both sides, everything else keeps its own. */

/** All in ns since the epoch; `from`, `till` on the worker's clock, `floor` and `cap` on the clock here. */
export type StampRule = {
  /** The run's window on the worker: what has an mtime in [from, till] was made by the run. */
  readonly from: bigint;
  readonly till: bigint;
  /** The worker's clock minus the clock here. */
  readonly offset: bigint;
  /** When the scan before the run began here: no source that was sent is newer than what was made of it. */
  readonly floor: bigint;
  /** min(now, E − 1 µs), where E is the earliest mtime of anything that changed here since that scan. */
  readonly cap: bigint;
};

/**
 * The stamp of a file whose mtime on the worker is `mtime`: itself outside the window, else
 * clamp(mtime − offset, floor, cap). Never decreasing inside the window.
 *
 * Where floor > cap (a change here bears a time from before the scan, or the clock here was set back) the cap
 * wins: a stamp that is too old costs a rebuild, one that is too new hides an edit or lies in the future.
 */
export function stamp(mtime: bigint, rule: StampRule): bigint {
  if (mtime < rule.from || mtime > rule.till) return mtime;
  const here = mtime - rule.offset;
  const raised = here < rule.floor ? rule.floor : here;
  return raised > rule.cap ? rule.cap : raised;
}
