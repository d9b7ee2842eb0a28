/** What an agent means that does not start a command. */
import type { JobEvent } from './job-state.ts';

/** By the `kind` of its `notStarted`: `no-tool` speaks against the command alone. */
export function meaningOf(
  kind: string,
): Pick<Extract<JobEvent, { type: 'refused' }>, 'learn' | 'again' | 'fault'> {
  const missing = kind === 'no-tool';
  const blameless = missing || kind === 'busy' || kind === 'outdated';
  return { learn: missing, again: !missing, fault: !blameless };
}
