/** A worker that a command needs now, and that is not connected, or not there at all. */
import { fail, type Result } from '../../base/result.ts';
import type { WorkerStatus } from '../../protocol/methods.ts';
import { unknownWorker } from './unknown.ts';

/** Undefined: it is connected. */
export function cutOff(id: string, known: readonly WorkerStatus[]): Result<never> | undefined {
  const worker = known.find((each) => each.id === id);
  if (worker === undefined)
    return unknownWorker(
      id,
      known.map((each) => each.id),
    );
  if (worker.state === 'connected') return undefined;
  const why = worker.reason === '' ? worker.state : worker.reason;
  return fail(
    `${id} is not connected: ${why}`,
    worker.next === '' ? `rch workers probe ${id}` : worker.next,
  );
}
