/** Where a job comes from, and how its tool ended: what its life (job-state.ts) begins and ends with. */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import { jobUsage, type JobUsage } from '../../src/protocol/jobs.ts';
import { EndKind } from '../../src/protocol/shim.ts';
import type { RawPath } from '../../src/tree/manifest.ts';
import type { JobRecord } from '../journal/job-file.ts';
import type { End, JobState } from './job-state.ts';
import { rootKey } from '../sync/shared-root.ts';
import { temporariesOf } from './outside.ts';

type Ended = Extract<AgentMessage, { type: 'ended' }>;

/** Where a job comes from: the front, or a link before this one. */
export type JobOrigin =
  | { readonly from: 'front'; readonly plan: PlannedJob; readonly memo: unknown }
  | { readonly from: 'file'; readonly record: JobRecord };

/** Folders (latin1) of which the job has its own: /tmp and the like. */
export function temporariesFrom(origin: JobOrigin): readonly RawPath[] {
  return origin.from === 'file' ? origin.record.run.temporaries : temporariesOf(origin.plan.env);
}

/** What a job of this origin may have results in: keys of its roots, and its temporary folders. */
export function resultsExpected(origin: JobOrigin): string[] {
  const { roots } = origin.from === 'file' ? origin.record.run.plan : origin.plan;
  const projects = roots.filter(({ policy }) => policy === 'project');
  return [...projects.map(rootKey), ...temporariesFrom(origin)];
}

/** The state in which a job of this origin begins. */
export function stateOf(origin: JobOrigin): JobState {
  if (origin.from === 'front') return { at: 'planned' };
  const { done, returned, shared } = origin.record;
  if (shared !== undefined) return { at: 'over', outcome: shared.end };
  // What ended well can be told again by the agent; anything else is over.
  return done === undefined || returned !== undefined
    ? { at: 'recovering' }
    : { at: 'over', outcome: done.outcome };
}

/** `execs`: the agent named a program that the launcher is to become. */
export function endOf(message: Ended, execs: boolean): End {
  if (execs) return { kind: 'execHere' };
  return message.kind === EndKind.signaled
    ? { kind: 'signaled', signal: message.value }
    : { kind: 'exited', code: message.value };
}

/** What the agent told with the end; undefined when it is no such thing. */
export function usageOfEnd(message: Ended): JobUsage | undefined {
  return jobUsage.safeParse(parseJson(message.json)).data;
}

function parseJson(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
}
