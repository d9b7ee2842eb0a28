/** The table of commands that ended, or were decided to run here. */
import { duration } from '../cli/render/text.ts';
import type { HistoryRecord } from '../protocol/methods.ts';
import { endText, showDetails } from './dialogs.ts';
import { button, make, say, set, type Part } from './dom.ts';
import { PhaseBar, piecesOf } from './phases.ts';
import type { Output } from './terminal.ts';

export type Wanted = { readonly text: string; readonly kind: string };

/** By its own end, or because its run was lost. */
export function failed({ exit, signal, lost = false }: HistoryRecord): boolean {
  return lost || signal !== null || (exit ?? 0) !== 0;
}

/** Whether a row is to be shown. */
export function isWanted(record: HistoryRecord, { text, kind }: Wanted): boolean {
  if (kind === 'failed' && !failed(record)) return false;
  if ((kind === 'remote' || kind === 'local') && record.decision !== kind) return false;
  const { command, cwd, reason, worker, id } = record;
  return [command, cwd, reason, worker ?? 'here', id].some((word) =>
    word.toLowerCase().includes(text.toLowerCase()),
  );
}

function whenText(at: string): string {
  const date = new Date(at);
  const today = new Date().toDateString() === date.toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

function endWords(record: HistoryRecord): { text: string; tone: string } {
  const text = endText(record);
  if (record.lost === true) return { text: 'lost', tone: 'bad' };
  if (text === '') {
    return record.decision === 'local'
      ? { text: '', tone: 'soft' }
      : { text: record.joined === undefined ? 'no end is known' : 'joined', tone: 'warn' };
  }
  return { text, tone: failed(record) ? 'bad' : 'good' };
}

export function recentRow(
  first: HistoryRecord,
  outputOf: (job: string) => Output | undefined,
): Part<HistoryRecord> {
  const open = button(
    first.command,
    () => {
      void showDetails(first.id, outputOf(first.id));
    },
    'link command',
  );
  const where = make('td');
  const when = make('td');
  const took = make('td', { class: 'number' });
  const bar = new PhaseBar();
  const phases = make('td');
  const end = make('td');
  const element = make(
    'tr',
    {},
    ...[make('th', { scope: 'row' }, open), where, when, took, phases, end],
  );
  const update = (record: HistoryRecord): void => {
    set(open, 'title', `${record.command}\n${record.cwd}\n${record.reason}`);
    say(where, record.decision === 'remote' ? (record.worker ?? 'a worker') : 'here');
    say(when, whenText(record.startedAt));
    const { total } = record.phases;
    say(took, total === undefined ? '' : duration(total));
    const pieces = piecesOf(record);
    if (pieces.length > 0 && bar.element.parentNode === null) phases.append(bar.element);
    bar.update(pieces);
    const { text, tone } = endWords(record);
    say(end, text);
    set(end, 'class', tone);
  };
  return { element, update };
}
