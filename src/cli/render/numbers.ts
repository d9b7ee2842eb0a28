/** `rch status --metrics`: the same numbers that Prometheus would get, from the daemon and its history. */
import type { HistoryRecord, StatusReply } from '../../protocol/methods.ts';
import { phaseNames, type PhaseName } from './record.ts';
import type { Look } from '../report.ts';
import { duration, size, table } from './text.ts';

/** ms. */
export type Spread = { readonly median: number; readonly p95: number; readonly longest: number };

export type Numbers = {
  /** How many decisions were looked at. */
  readonly records: number;
  readonly remote: number;
  readonly local: number;
  /** Ended with an error of their own, and lost. */
  readonly failed: number;
  readonly lost: number;
  /** Commands that should have gone to a worker and ran here, by cause. */
  readonly fallbacks: Readonly<Record<string, number>>;
  readonly joined: number;
  readonly phases: Readonly<Partial<Record<PhaseName | 'total', Spread>>>;
  readonly bytes: HistoryRecord['bytes'];
  readonly byWorker: Readonly<Record<string, number>>;
};

function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0;
  return { median: at(0.5), p95: at(0.95), longest: at(1) };
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

export function numbersOf(records: readonly HistoryRecord[]): Numbers {
  const remote = records.filter(({ decision }) => decision === 'remote');
  const sum = (of: (record: HistoryRecord) => number): number =>
    remote.reduce((total, record) => total + of(record), 0);
  const spreads = [...phaseNames, 'total' as const].flatMap((name) => {
    const spread = spreadOf(remote.flatMap(({ phases }) => phases[name] ?? []));
    return spread === undefined ? [] : [[name, spread] as const];
  });
  return {
    records: records.length,
    remote: remote.length,
    local: records.length - remote.length,
    failed: remote.filter(({ exit, signal }) => signal !== null || (exit ?? 0) !== 0).length,
    lost: remote.filter(({ lost }) => lost === true).length,
    fallbacks: counted(records.flatMap(({ fallback }) => fallback ?? [])),
    joined: remote.filter(({ joined }) => joined !== undefined).length,
    phases: Object.fromEntries(spreads),
    bytes: {
      sent: sum(({ bytes }) => bytes.sent),
      received: sum(({ bytes }) => bytes.received),
      output: sum(({ bytes }) => bytes.output),
    },
    byWorker: counted(remote.flatMap(({ worker }) => worker ?? [])),
  };
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, n]) => `${name.replaceAll('_', ' ')} ${n}`)
    .join(', ');

export function numbersText(numbers: Numbers, status: StatusReply, look: Look): string {
  const { counts, local, queue, jobs, memory } = status;
  const { sent, received, output } = numbers.bytes;
  const rows = [...phaseNames, 'total' as const].flatMap((name) => {
    const spread = numbers.phases[name];
    if (spread === undefined) return [];
    return [[name, duration(spread.median), duration(spread.p95), duration(spread.longest)]];
  });
  const facts = [
    `since start  ${counts.remote} remote, ${counts.local} here, ${counts.returned} came back before their start, ${counts.lost} lost`,
    `now          ${jobs.length} on workers, ${local.leases.length} heavy here on ${local.used} of ${local.limit} cores, ${queue.length} in line`,
    `memory       ${size(memory)}`,
    '',
    `of the last ${numbers.records} decisions`,
    `where        ${numbers.remote} remote (${listed(numbers.byWorker) || 'none'}), ${numbers.local} here`,
    `ends         ${numbers.failed} of the remote ones failed, ${numbers.lost} were lost, ${numbers.joined} were served by another's run`,
    `fallbacks    ${listed(numbers.fallbacks) || 'none'}`,
    `bytes        sent ${size(sent)}, received ${size(received)}, output ${size(output)}`,
  ];
  const phases = table([['PHASE', 'MEDIAN', '95 %', 'LONGEST'], ...rows], look.width);
  return [...facts, ...(rows.length === 0 ? [] : ['', phases])].join('\n');
}
