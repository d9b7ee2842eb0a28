/** One decision, and lists of them, in words. */
import type { DecisionDetails, HistoryRecord } from '../../protocol/methods.ts';
import type { Look } from '../report.ts';
import { count, duration, printable, size, table } from './text.ts';

/** The start of an id that names a job in commands. */
export const shortId = (id: string): string => id.slice(0, 8);

/** How it ended: `exit 0`, `signal 2`, or the state of what has no end (yet). */
export function endOf(record: HistoryRecord): string {
  if (record.signal !== null) return `signal ${record.signal}`;
  if (record.exit !== null) return `exit ${record.exit}`;
  return record.lost === true ? 'lost' : '';
}

/** Why it ran where it ran; of one that another's run served, which that was. */
export function reasonOf({ joined, reason }: HistoryRecord): string {
  return joined === undefined
    ? reason
    : `joined to job ${shortId(joined)}, the same command on the same tree`;
}

function totalOf(record: HistoryRecord): string {
  return record.phases.total === undefined ? '' : duration(record.phases.total);
}

/** In the order they happen. */
export const phaseNames = ['queue', 'scan', 'sync', 'start', 'run', 'return'] as const;
export type PhaseName = (typeof phaseNames)[number];

/** `scan 12 ms, sync 85 ms, run 2.1 s, return 40 ms; total 2.3 s`. */
export function phasesText(record: HistoryRecord): string {
  const parts = phaseNames.flatMap((name) => {
    const ms = record.phases[name];
    return ms === undefined ? [] : [`${name} ${duration(ms)}`];
  });
  const total = totalOf(record);
  return total === '' ? parts.join(', ') : `${parts.join(', ')}; total ${total}`;
}

/** `2 of 8`: what the command would get of a worker's free slots. */
function slotsText({ slots }: DecisionDetails['workers'][number]): string {
  return slots === undefined ? '' : `${slots.granted} of ${slots.free}`;
}

/** Each worker with its score, the terms of it and what became of it, the winner first; the refused ones with their reasons. */
function workerLines(workers: DecisionDetails['workers']): string[] {
  const able = workers
    .filter((each) => each.refusal === '')
    .sort(
      (a, b) =>
        Number(b.outcome === 'chosen') - Number(a.outcome === 'chosen') || b.score - a.score,
    )
    .map((each) => {
      const { worker, score, terms, priority, outcome = '' } = each;
      const parts =
        terms === undefined ? [] : [terms.speed, terms.slots, terms.affinity, terms.cost];
      const verdict = outcome === '' || outcome === 'chosen' ? outcome : `lost: ${outcome}`;
      return [
        ...[worker, score.toFixed(1), ...parts.map((value) => value.toFixed(2))],
        ...[priority === undefined ? '' : String(priority), slotsText(each), printable(verdict)],
      ];
    });
  const head = ['worker', 'score', 'speed', 'slots', 'affinity', 'cost', 'priority', 'gets', ''];
  const shown = able.length === 0 ? [] : table([head, ...able], 120).split('\n');
  const worse = workers
    .filter((each) => each.degraded !== undefined)
    .map(({ worker, degraded = '' }) => `${worker}: degraded: ${printable(degraded)}`);
  const refused = workers
    .filter((each) => each.refusal !== '')
    .map(({ worker, refusal }) => `${worker}: ${printable(refusal)}`);
  return [...shown, ...worse, ...refused].map((line) => `  ${line}`);
}

/** What is behind a decision, a line each. */
export function detailLines(details: DecisionDetails): string[] {
  const workers = workerLines(details.workers);
  return [
    ...(details.verdict === '' ? [] : [`command   ${details.verdict}`]),
    ...(details.worth === '' ? [] : [`cost      ${details.worth}`]),
    ...(details.learned === '' ? [] : [`learned   ${details.learned}`]),
    ...details.notes.map((note) => `note      ${printable(note)}`),
    ...(workers.length === 0 ? [] : ['workers', ...workers]),
    ...(details.roots.length === 0
      ? []
      : [
          'roots',
          ...details.roots.map(
            (root) =>
              `  ${root.policy === 'project' ? 'read-write' : 'read-only '} ${printable(root.path)}`,
          ),
        ]),
    ...(details.withheldEnv.length === 0
      ? []
      : [`withheld  ${details.withheldEnv.join(' ')} (environment.pass lets a name travel)`]),
    ...(details.next === '' ? [] : [`next      ${details.next}`]),
  ];
}

/** Characters of a command line, and of these its last, that are shown of a longer one. */
const MOST_COMMAND = 1000;
const COMMAND_END = 200;

/** A command line without its middle, where it is long; `--json` has it whole. */
function commandText(command: string): string {
  const left = command.length - MOST_COMMAND;
  if (left <= 0) return printable(command);
  const start = printable(command.slice(0, MOST_COMMAND - COMMAND_END));
  return `${start}… (${count(left, 'character')} more) …${printable(command.slice(-COMMAND_END))}`;
}

export function whyText(
  record: HistoryRecord,
  details: DecisionDetails | null,
  look: Look,
): string {
  const { colors } = look;
  const where =
    record.decision === 'remote'
      ? colors.green(`ran on ${record.worker ?? 'a worker'}`)
      : colors.yellow('ran here');
  const end = endOf(record);
  const phases = phasesText(record);
  const { sent, received, output } = record.bytes;
  return [
    colors.bold(commandText(record.command)),
    `${where}: ${printable(reasonOf(record))}`,
    '',
    `job       ${shortId(record.id)}, ${record.startedAt}`,
    ...(record.name === undefined ? [] : [`project   ${printable(record.name)}`]),
    `folder    ${printable(record.cwd)}`,
    ...(end === '' ? [] : [`end       ${end}`]),
    ...(phases === '' ? [] : [`phases    ${phases}`]),
    ...(sent + received + output === 0
      ? []
      : [`bytes     sent ${size(sent)}, received ${size(received)}, output ${size(output)}`]),
    ...record.conflicts.map(
      (path) =>
        `kept      ${printable(path)}: changed here meanwhile; the worker's version lies beside it`,
    ),
    ...(record.hooks ?? []).map((trouble) => `hook      ${printable(trouble)}`),
    ...(details === null ? [] : detailLines(details)),
  ].join('\n');
}
