/** The line of `rch queue`, in words. */
import type { WaitingCommand } from '../../protocol/methods.ts';
import type { Look } from '../report.ts';
import { shortId } from './record.ts';
import { clip, duration, printable, table } from './text.ts';

/** The line as a table, the next one first. */
export function queueText(waiting: readonly WaitingCommand[], { width }: Look): string {
  if (waiting.length === 0) return 'nobody waits in line';
  const rows = waiting.map((each) => [
    String(each.place),
    shortId(each.id),
    printable(each.caller),
    each.priority,
    each.for.map((place) => (place === 'here' ? 'its turn here' : place)).join(' or '),
    duration(each.waitedMs),
    clip(printable(each.command), 48),
    printable(each.cwd),
  ]);
  const head = ['PLACE', 'JOB', 'CALLER', 'PRIORITY', 'FOR', 'WAITED', 'COMMAND', 'FOLDER'];
  return table([head, ...rows], width);
}
