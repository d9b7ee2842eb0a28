/** What a job is told to have used, and why a step of `rch-run` failed. */
import type { JobUsage, RefusalKind } from '../protocol/jobs.ts';
import { EndKind } from '../protocol/shim.ts';
import type { RawPath } from '../tree/manifest.ts';
import { isBelow } from './caches.ts';
import { deniedPath, missingPaths } from './denied.ts';
import type { ToolEnd } from './job.ts';
import { isVisible, resolvedIn, rootAt, type JobPlan } from './job-plan.ts';
import { temporariesOf } from './temporaries.ts';

export type Spent = {
  readonly started: bigint;
  readonly end: ToolEnd;
  /** The last that the tool said, on each of its streams. */
  readonly tail: string;
  /** A temporary folder in which the tool left more than returns; '' for none. */
  readonly tooMuch: RawPath;
};

export function usageOf(plan: JobPlan, { started, end, tail, tooMuch }: Spent): JobUsage {
  const own = temporariesOf(plan);
  // A file of its own /tmp is closed to the tool for another reason too: a test of what may not be read.
  const mayWrite = (path: string): boolean =>
    plan.roots.some((root) => !root.readOnly && isBelow(path, root.path)) ||
    (rootAt(plan, path) === undefined && own.some((folder) => isBelow(path, folder.path)));
  const cwd = plan.cwd.toString('latin1');
  const resolved = (path: string): string => resolvedIn(plan, path);
  const isThere = (path: string): boolean => isVisible(plan, path);
  const failed = end.kind !== EndKind.exited || end.value !== 0;
  return {
    wallMs: Number(end.till - started) / 1e6,
    userMs: Number(end.userTime) / 1e3,
    systemMs: Number(end.systemTime) / 1e3,
    maxRss: Number(end.maxRss),
    deniedPath: (failed ? deniedPath(tail, { cwd, resolved, passes: mayWrite }) : '') || tooMuch,
    missingPaths: failed ? missingPaths(tail, { cwd, resolved, passes: isThere }) : [],
  };
}

/** What the link makes of a step of `rch-run` that failed. */
export function kindOf(stage: string): RefusalKind {
  if (stage === 'exec' || stage === 'tool') return 'no-tool';
  return stage === 'spec' || stage === 'start' || stage === 'fork' ? 'internal' : 'no-sandbox';
}
