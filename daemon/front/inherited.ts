/** What a tool inherits from its caller besides arguments, environment and streams. */
import type { Config } from '../../src/config/schema.ts';
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import { StreamKind, type Ask } from '../../src/protocol/shim.ts';

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

/** RLIMIT_FSIZE of getrlimit(2), and no limit. */
const FSIZE = 1;
const INFINITY = 2n ** 64n - 1n;

/** Whether output goes to a file that the tool may not make as large as it likes: it dies of SIGXFSZ, or lives with EFBIG. */
export function writesLimitedFile({ outKind, errKind, rlimits }: Ask): boolean {
  if (outKind !== StreamKind.file && errKind !== StreamKind.file) return false;
  const soft = FSIZE * 16;
  return rlimits.length >= soft + 8 && rlimits.readBigUInt64LE(soft) !== INFINITY;
}
