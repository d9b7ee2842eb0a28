/** A worker that nobody knows. */
import { nearest } from '../../base/nearest.ts';
import { fail, type Result } from '../../base/result.ts';

export function unknownWorker(id: string, known: readonly string[]): Result<never> {
  const meant = nearest(id, known);
  const list = known.length === 0 ? 'there are none yet' : `there are ${known.join(', ')}`;
  if (meant !== undefined)
    return fail(`no worker is called "${id}": ${list}`, `did you mean ${meant}?`);
  return fail(
    `no worker is called "${id}": ${list}`,
    known.length === 0 ? 'rch workers add --id NAME --host HOST --user USER' : 'rch workers list',
  );
}
