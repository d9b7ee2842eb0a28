/** One line for each thing that `rch top` lists, in columns that fit the window. */
import type { HistoryRecord } from '../../protocol/methods.ts';
import type { WatchedWorker } from '../../protocol/watch.ts';
import { endOf, shortId } from '../render/record.ts';
import { count, duration, printable } from '../render/text.ts';
import type { Item } from './model.ts';
import { bar, cell, type Line, type Paper, type Span, type Tone } from './paint.ts';

/** Columns of the names of workers and of phases. */
const WHERE = 10;
const PHASE = 11;
const TIME = 8;
/** A window of so many columns shows more of each row. */
const WIDE = 110;

export type Rows = { readonly paper: Paper; readonly now: number };

const gap: Span = { text: ' ' };

/** What a link calls a phase, in one word. */
export function phaseWord(phase: string): string {
  if (phase === 'planned') return 'preparing';
  return /^[a-z]+/.exec(phase)?.[0] ?? phase;
}

export function stateTone(worker: WatchedWorker): Tone {
  switch (worker.health) {
    case 'healthy':
      return 'good';
    case 'degraded':
    case 'draining':
      return 'warn';
    case 'unreachable':
      return worker.state === 'unreachable' ? 'bad' : 'warn';
    case 'disabled':
      return 'dim';
  }
}

/** Its health, or what it is at on the way there. */
export function stateWord({ health, state }: WatchedWorker): string {
  return health === 'unreachable' ? state : health;
}

const elapsed = (since: number, { now }: Rows): string => duration(Math.max(0, now - since));

function workerRow(worker: WatchedWorker, rows: Rows): Line {
  const { paper } = rows;
  const width = Math.max(8, Math.min(32, Math.floor(paper.columns / 5)));
  const { slots } = worker;
  const used =
    slots === null
      ? [{ text: ' '.repeat(width) }, { text: cell('', 8, paper) }]
      : [
          ...bar(slots.used / slots.total, width, paper),
          { text: ` ${cell(`${slots.used}/${slots.total}`, 7, paper)}` },
        ];
  const facts = [
    ...(worker.jobs === 0 ? [] : [count(worker.jobs, 'job')]),
    ...(worker.load === null ? [] : [`load ${worker.load.toFixed(1)}`]),
    ...(worker.speed === null ? [] : [`speed ${worker.speed.toFixed(0)}`]),
    ...(worker.breaker === 'closed' ? [] : [`breaker ${worker.breaker}`]),
    ...(worker.reason === '' ? [] : [printable(worker.reason)]),
  ];
  return [
    { text: cell(worker.id, WHERE, paper), tone: 'bold' },
    gap,
    { text: cell(stateWord(worker), PHASE, paper), tone: stateTone(worker) },
    gap,
    ...used,
    gap,
    { text: facts.join(', '), tone: worker.reason === '' ? 'plain' : 'warn' },
  ];
}

type Cells = {
  readonly id: string;
  readonly where: string;
  readonly phase: Span;
  readonly time: string;
  readonly caller: string;
  readonly command: string;
};

function commandRow(cells: Cells, { paper }: Rows): Line {
  const wide = paper.columns >= WIDE;
  return [
    { text: shortId(cells.id), tone: 'dim' },
    gap,
    { text: cell(cells.where, WHERE, paper), tone: 'bold' },
    gap,
    { ...cells.phase, text: cell(cells.phase.text, PHASE, paper) },
    gap,
    { text: cells.time.padStart(TIME) },
    gap,
    ...(wide
      ? [{ text: cell(printable(cells.caller), 16, paper), tone: 'dim' as const }, gap]
      : []),
    { text: printable(cells.command) },
  ];
}

export function endTone(record: HistoryRecord): Tone {
  if (record.exit === 0) return 'good';
  if (record.lost === true) return 'bad';
  return record.exit === null && record.signal === null ? 'dim' : 'bad';
}

function recordRow(record: HistoryRecord, rows: Rows): Line {
  const { total } = record.phases;
  return commandRow(
    {
      id: record.id,
      where: record.worker ?? 'here',
      phase: {
        text: record.lost === true ? 'lost' : endOf(record) || '-',
        tone: endTone(record),
      },
      time: total === undefined ? '' : duration(total),
      caller: record.startedAt.slice(11, 19),
      command: record.command,
    },
    rows,
  );
}

export function rowOf(item: Item, rows: Rows): Line {
  switch (item.kind) {
    case 'worker':
      return workerRow(item.worker, rows);
    case 'job': {
      const { id, worker, phase, since, caller, command } = item.job;
      const text = phaseWord(phase);
      const tone = text === 'running' ? 'accent' : 'warn';
      const time = elapsed(since, rows);
      return commandRow({ id, where: worker, phase: { text, tone }, time, caller, command }, rows);
    }
    case 'lease': {
      const { id, since, caller, command } = item.lease;
      const phase = { text: 'running', tone: 'accent' } as const;
      return commandRow(
        { id, where: 'here', phase, time: elapsed(since, rows), caller, command },
        rows,
      );
    }
    case 'waiting': {
      const { id, since, caller, command, place } = item.waiting;
      const phase = { text: 'waiting', tone: 'warn' } as const;
      const where = `place ${place}`;
      return commandRow({ id, where, phase, time: elapsed(since, rows), caller, command }, rows);
    }
    case 'record':
      return recordRow(item.record, rows);
  }
}
