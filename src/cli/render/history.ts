/** `rch history` as a table that fits the terminal. */
import type { HistoryRecord } from '../../protocol/methods.ts';
import type { Look } from '../report.ts';
import { endOf, reasonOf, shortId } from './record.ts';
import { clip, duration, printable, table } from './text.ts';

/** Columns that the command and the reason should have together at least. */
const ROOM = 28;
/** Columns of a command at most. */
const COMMAND = 40;

type Column = {
  readonly head: string;
  readonly of: (record: HistoryRecord) => string;
  /** Of those that do not fit, the highest goes first; 0 always stays. */
  readonly spare: number;
};

/** A sum of phases; empty where none of them happened. */
function took(record: HistoryRecord, ...names: readonly (keyof HistoryRecord['phases'])[]): string {
  const times = names.flatMap((name) => record.phases[name] ?? []);
  return times.length === 0 ? '' : duration(times.reduce((sum, ms) => sum + ms, 0));
}

const columns: readonly Column[] = [
  { head: 'JOB', spare: 0, of: ({ id }) => shortId(id) },
  {
    head: 'WHEN (UTC)',
    spare: 0,
    of: ({ startedAt }) => startedAt.slice(0, 19).replace('T', ' '),
  },
  {
    head: 'WHERE',
    spare: 0,
    of: ({ decision, worker }) => (decision === 'remote' ? (worker ?? 'remote') : 'here'),
  },
  { head: 'QUEUE', spare: 4, of: (record) => took(record, 'queue') },
  { head: 'SYNC', spare: 2, of: (record) => took(record, 'scan', 'sync') },
  { head: 'RUN', spare: 1, of: (record) => took(record, 'start', 'run') },
  { head: 'RETURN', spare: 3, of: (record) => took(record, 'return') },
  { head: 'TOOK', spare: 0, of: (record) => took(record, 'total') },
  { head: 'END', spare: 0, of: endOf },
];

type Filled = {
  readonly column: Column;
  readonly cells: readonly string[];
  readonly width: number;
};

/** The columns that leave room for the rest of the line. */
function fitting(records: readonly HistoryRecord[], width: number): readonly Filled[] {
  let filled = columns.map((column): Filled => {
    const cells = [column.head, ...records.map(column.of)];
    return { column, cells, width: Math.max(...cells.map((cell) => cell.length)) + 2 };
  });
  for (;;) {
    const taken = filled.reduce((sum, each) => sum + each.width, 0);
    const most = Math.max(...filled.map(({ column }) => column.spare));
    if (most === 0 || width - taken >= ROOM) return filled;
    filled = filled.filter(({ column }) => column.spare !== most);
  }
}

/** Newest first, or as they come. */
export function historyText(records: readonly HistoryRecord[], { width }: Look): string {
  if (records.length === 0) return 'no such command has come through the shims yet';
  const filled = fitting(records, width);
  const last = [
    ['COMMAND', 'REASON'],
    ...records.map((record) => [
      clip(printable(record.command), COMMAND),
      printable(reasonOf(record)),
    ]),
  ];
  const rows = last.map((cells, row) => [...filled.map((each) => each.cells[row] ?? ''), ...cells]);
  return table(rows, width);
}
