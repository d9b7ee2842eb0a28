/** What the charts show, worked out of records; draws nothing. */
import type { HistoryRecord } from '../protocol/methods.ts';
import { phaseNames, type PhaseName, type Piece } from './phases.ts';
import { failed } from './recent.ts';

export type Column = {
  /** ms since the epoch. */
  readonly from: number;
  readonly remote: number;
  readonly local: number;
  readonly failed: number;
};

/** ms of a column, the first that makes at most MOST_COLUMNS of them. */
const widths = [1, 5, 15, 60, 180, 720, 1440, 10_080].map((minutes) => minutes * 60_000);
const MOST_COLUMNS = 24;

const startOf = ({ startedAt }: HistoryRecord): number => Date.parse(startedAt);

/** How many commands ran where, by time; `records` in any order. */
export function columnsOf(records: readonly HistoryRecord[]): Column[] {
  if (records.length === 0) return [];
  const times = records.map(startOf);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const width =
    widths.find((ms) => Math.floor(last / ms) - Math.floor(first / ms) < MOST_COLUMNS) ??
    Math.ceil((last - first + 1) / MOST_COLUMNS);
  const from = Math.floor(first / width);
  const columns = Array.from({ length: Math.floor(last / width) - from + 1 }, (_, at) => ({
    from: (from + at) * width,
    ...{ remote: 0, local: 0, failed: 0 },
  }));
  for (const record of records) {
    const column = columns[Math.floor(startOf(record) / width) - from];
    if (column === undefined) continue;
    if (failed(record)) column.failed++;
    else column[record.decision]++;
  }
  return columns;
}

export type Dot = { readonly at: number; readonly ms: number; readonly record: HistoryRecord };

/** How long commands took on workers; the oldest first. */
export function dotsOf(records: readonly HistoryRecord[]): Dot[] {
  return records
    .flatMap((record): Dot[] => {
      const ms = record.phases.total;
      if (record.decision !== 'remote' || ms === undefined) return [];
      return [{ at: startOf(record), ms: Math.max(1, ms), record }];
    })
    .sort((a, b) => a.at - b.at);
}

export function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** What commands on workers spent on each phase together. */
export function sharesOf(records: readonly HistoryRecord[]): Piece[] {
  const sums = new Map<PhaseName, number>();
  for (const { decision, phases } of records) {
    if (decision !== 'remote') continue;
    for (const name of phaseNames) sums.set(name, (sums.get(name) ?? 0) + (phases[name] ?? 0));
  }
  return [...sums].flatMap(([name, ms]) => (ms > 0 ? [{ name, ms }] : []));
}

/** Why commands ran here, the most frequent first. */
export function reasonsOf(
  records: readonly HistoryRecord[],
  most: number,
): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { decision, reason } of records)
    if (decision === 'local') counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, most);
}
