/** Ends after which nothing of a job is kept. */
import type { JobOutcome } from '../../src/protocol/ipc.ts';

/** Whether the worker's changes were never taken, so that nothing of the job is to be kept there or here. */
export function isForsaken({ kind }: JobOutcome): boolean {
  return ['lost', 'timedOut', 'abandoned', 'cancelled'].includes(kind);
}
