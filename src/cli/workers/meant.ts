/** The workers that a command means: those named, or all that are enabled. */
import { fail, ok, type Result } from '../../base/result.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { misused, type CommandFailure } from '../report.ts';
import { unknownWorker } from './unknown.ts';

export type Named = { readonly ids: readonly string[]; readonly all: boolean };

/** `command`: as one writes it, for the message. */
export function meantWorkers(
  { ids, all }: Named,
  workers: readonly WorkerConfig[],
  command: string,
): Result<readonly WorkerConfig[], CommandFailure> {
  const known = workers.map((worker) => worker.id);
  const unknown = ids.find((id) => !known.includes(id));
  if (unknown !== undefined) return unknownWorker(unknown, known);
  const meant = workers.filter(({ id, enabled }) => ids.includes(id) || (all && enabled));
  if (meant.length > 0) return ok(meant);
  return all
    ? fail('there is no worker yet', 'rch workers discover')
    : misused('which worker?', `${command} ID, or --all`);
}
