/** The two dialogs: a question before something is done, and everything about one command. */
import { duration, size } from '../cli/render/text.ts';
import type { DecisionDetails, HistoryRecord } from '../protocol/methods.ts';
import { call } from './api.ts';
import { button, byId, make } from './dom.ts';
import { legend, PhaseBar, phaseMeanings, piecesOf } from './phases.ts';
import { Pane, type Output } from './terminal.ts';

function dialogOf(id: string): HTMLDialogElement {
  const element = byId(id);
  if (!(element instanceof HTMLDialogElement)) throw new Error(`${id} is no dialog`);
  return element;
}

/** Asks before `action`; says what came of it when it failed. */
export function confirm(
  title: string,
  text: string,
  verb: string,
  action: () => Promise<{ readonly ok: boolean; readonly reason?: string }>,
): void {
  const dialog = dialogOf('confirm');
  const trouble = make('p', { class: 'bad', role: 'alert' });
  const close = (): void => {
    dialog.close();
  };
  const act = button(
    verb,
    () => {
      act.disabled = true;
      void action().then((done) => {
        if (done.ok) close();
        else trouble.textContent = done.reason ?? 'it failed';
        act.disabled = false;
      });
    },
    'danger',
  );
  dialog.replaceChildren(
    make('h2', { id: 'confirm-title' }, title),
    make('p', {}, text),
    trouble,
    make('div', { class: 'row' }, button('Leave it', close), act),
  );
  dialog.showModal();
}

/** How it ended, in words; empty for what runs, and for a local command, whose end is not known. */
export function endText({ exit, signal }: HistoryRecord): string {
  if (signal !== null) return `signal ${signal}`;
  return exit === null ? '' : `exit ${exit}`;
}

type Row = readonly [string, string];

function listOf(rows: readonly Row[]): HTMLElement {
  const filled = rows.filter(([, text]) => text !== '');
  return make(
    'dl',
    {},
    ...filled.flatMap(([name, text]) => [make('dt', {}, name), make('dd', {}, text)]),
  );
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  return make(
    'div',
    { class: 'wide' },
    make(
      'table',
      {},
      make('thead', {}, make('tr', {}, ...head.map((name) => make('th', { scope: 'col' }, name)))),
      make(
        'tbody',
        {},
        ...rows.map((row) =>
          make(
            'tr',
            {},
            ...row.map((text, at) =>
              make(at === 0 ? 'th' : 'td', at === 0 ? { scope: 'row' } : {}, text),
            ),
          ),
        ),
      ),
    ),
  );
}

function workersTable({ workers }: DecisionDetails): HTMLElement[] {
  if (workers.length === 0) return [];
  const rows = workers.map((each) => {
    const { terms, slots } = each;
    return [
      each.worker,
      each.refusal === '' ? each.score.toFixed(1) : '',
      ...(['speed', 'slots', 'affinity', 'cost'] as const).map(
        (name) => terms?.[name].toFixed(2) ?? '',
      ),
      slots === undefined ? '' : `${slots.granted} of ${slots.free}`,
      each.refusal === '' ? [each.outcome, each.degraded].filter(Boolean).join('; ') : each.refusal,
    ];
  });
  const head = ['Worker', 'Score', 'Speed', 'Slots', 'Affinity', 'Cost', 'Gets', 'Came to'];
  return [make('h3', {}, 'Workers that were weighed'), tableOf(head, rows)];
}

function phasesPart(record: HistoryRecord): HTMLElement[] {
  const pieces = piecesOf(record);
  if (pieces.length === 0) return [];
  const bar = new PhaseBar();
  bar.update(pieces);
  const total = record.phases.total;
  return [
    make('h3', {}, 'Phases'),
    make('div', {}, bar.element),
    make('p', { class: 'legend', 'aria-hidden': 'true' }, ...legend()),
    tableOf(
      ['Phase', 'Time'],
      [
        ...pieces.map(({ name, ms }) => [phaseMeanings[name], duration(ms)]),
        ...(total === undefined ? [] : [['total', duration(total)]]),
      ],
    ),
  ];
}

function decisionPart(details: DecisionDetails): HTMLElement[] {
  const rows: Row[] = [
    ['Command', details.verdict],
    ['Cost', details.worth],
    ['Learned', details.learned],
    ...details.notes.map((note): Row => ['Note', note]),
    ...details.roots.map(({ path, policy }): Row => [
      policy === 'project' ? 'Read-write' : 'Read-only',
      path,
    ]),
    ['Withheld', details.withheldEnv.join(' ')],
    ['Next', details.next],
  ];
  return [make('h3', {}, 'Why'), listOf(rows), ...workersTable(details)];
}

function aboutPart(record: HistoryRecord): HTMLElement {
  const { sent, received, output } = record.bytes;
  const where = record.decision === 'remote' ? `on ${record.worker ?? 'a worker'}` : 'here';
  return listOf([
    ['Ran', `${where}: ${record.reason}`],
    ['Joined to', record.joined?.slice(0, 8) ?? ''],
    ['Job', record.id],
    ['Project', record.name ?? ''],
    ['Folder', record.cwd],
    ['Started', new Date(record.startedAt).toLocaleString()],
    ['End', endText(record)],
    [
      'Bytes',
      sent + received + output === 0
        ? ''
        : `sent ${size(sent)}, received ${size(received)}, output ${size(output)}`,
    ],
    ...record.conflicts.map((path): Row => ['Kept as it was here', path]),
    ...(record.hooks ?? []).map((hook): Row => ['Hook', hook]),
  ]);
}

/** Everything about a command; `output`: what is held of what it wrote. */
export async function showDetails(job: string, output: Output | undefined): Promise<void> {
  const dialog = dialogOf('details');
  const close = button('Close', () => {
    dialog.close();
  });
  const reply = await call('why', { job });
  if (!reply.ok) {
    dialog.replaceChildren(
      make('h2', { id: 'details-title' }, `Job ${job.slice(0, 8)}`),
      make('p', { class: 'bad' }, reply.reason),
      make('div', { class: 'row' }, close),
    );
  } else {
    const { record, details } = reply.value;
    const pane = new Pane(`Output of ${record.command}`);
    dialog.replaceChildren(
      make('h2', { id: 'details-title' }, make('code', {}, record.command)),
      aboutPart(record),
      ...phasesPart(record),
      ...(details === null ? [] : decisionPart(details)),
      ...(output === undefined ? [] : [make('h3', {}, 'Output, the end of it'), pane.element]),
      make('div', { class: 'row' }, close),
    );
    if (output !== undefined) pane.update(output);
  }
  dialog.showModal();
  dialog.scrollTop = 0;
}
