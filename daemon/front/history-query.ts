/** Which lines of the history somebody asks for. Pure. */
import type { ParamsOf } from '../../src/protocol/methods.ts';
import type { JournalLine } from '../journal/record.ts';

export type HistoryQuery = ParamsOf<'history'>;

/** Whether a folder is `folder` or below it. */
export function below(cwd: string, folder: string): boolean {
  return cwd === folder || cwd.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

const failed = ({ exit, signal, lost }: JournalLine): boolean =>
  signal !== null || (exit !== null && exit !== 0) || lost === true;

export function matcher(query: HistoryQuery): (line: JournalLine) => boolean {
  const { folder, name, since } = query;
  const from = since === undefined ? undefined : Date.parse(since);
  return (line) =>
    (folder === undefined || below(line.cwd, folder)) &&
    (name === undefined || line.name === name) &&
    (from === undefined || Date.parse(line.startedAt) >= from) &&
    (query.failed !== true || failed(line));
}

/** The slowest first; what took an unknown time is none of them. */
export function slowest(lines: readonly JournalLine[]): JournalLine[] {
  const took = ({ phases }: JournalLine): number => phases.total ?? 0;
  return lines.filter((line) => took(line) > 0).toSorted((a, b) => took(b) - took(a));
}
