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

/** Raised when a line changes its meaning. Lines without a number are of version 1, which had the same fields. */
const VERSION = 2;

const versioned = z.object({ v: z.number().int().min(1).default(1) });

/** A line of the file. */
export function lineText(line: JournalLine): string {
  return JSON.stringify({ v: VERSION, ...line });
}

/** What a line of this version, or an earlier one, says; undefined for anything else. */
export function parseLine(text: string): JournalLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const version = versioned.safeParse(value);
    if (!version.success || version.data.v > VERSION) return undefined;
    const line = journalLine.safeParse(value);
    return line.success ? line.data : undefined;
  } catch {
    return undefined;
  }
}

/** argv as a shell would read it back. */
export function quoted(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}
