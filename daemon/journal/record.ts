/** One line of history.jsonl: a record with what only the daemon itself needs beside it. */
import { z } from 'zod';
import { decisionDetails, historyRecord } from '../../src/protocol/methods.ts';

/**
 * The file holds one JSON object a line. A command that goes on after its decision has a second, whole line with
 * the same id when it ends: the later one counts.
 */
export const journalLine = historyRecord.extend({
  /** null for what was answered by name and arguments alone. */
  details: decisionDetails.nullable(),
  /** The folder that experience goes by, latin1; empty when the command was not planned. */
  project: z.string(),
  /** Goes in place of the folder, where the project has an id. */
  group: z.string().optional(),
  /** CommandKind; empty when it is none. */
  kind: z.string(),
  /** False while a remote command runs. */
  ended: z.boolean(),
});
export type JournalLine = z.infer<typeof journalLine>;

/** argv as a shell would read it back. */
export function quoted(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}
