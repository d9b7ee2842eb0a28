/** What a tool inherits from its caller besides arguments, environment and streams. */
import type { Config } from '../../src/config/schema.ts';
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import type { Ask } from '../../src/protocol/shim.ts';

export function inheritedBy(
  ask: Ask,
  { execution }: Pick<Config, 'execution'>,
): Pick<PlannedJob, 'umask' | 'rlimits' | 'signals'> {
  return {
    umask: ask.umask,
    rlimits: execution.resourceLimits ? ask.rlimits.toString('base64') : '',
    signals: ask.signals.toString('base64'),
  };
}
