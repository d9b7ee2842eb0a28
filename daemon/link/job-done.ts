/** What the front is told of a job that is over. Pure. */
import type { JobOutcome } from '../../src/protocol/ipc.ts';
import type { RawPath } from '../../src/tree/manifest.ts';
import type { Done } from './job-needs.ts';
import type { Returned } from './returning.ts';

export type JobSum = Pick<Done, 'phases' | 'bytes'> & {
  readonly returned: Returned;
  /** Where the command was refused, latin1; '' for nowhere. */
  readonly deniedPath: RawPath;
  /** Hooks that did not end well. */
  readonly hooks: readonly string[];
};

export function doneOf(job: string, outcome: JobOutcome, sum: JobSum): Done {
  const { phases, bytes, returned, deniedPath, hooks } = sum;
  return {
    type: 'done',
    ...{ job, outcome, phases, bytes },
    conflicts: [...returned.conflicts],
    missedEnv: [...returned.missedEnv],
    deniedPath: deniedPath || returned.unseen,
    ...(hooks.length === 0 ? {} : { hooks: [...hooks] }),
  };
}
