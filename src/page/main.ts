/** The web page of `rch dashboard`: hears what goes on, and keeps the page as it is. */
import { config } from 'zod';
import { count, duration } from '../cli/render/text.ts';
import type { HistoryRecord } from '../protocol/methods.ts';
import { afterEvent, nothingWatched, type Watched, type WatchEvent } from '../protocol/watch.ts';
import { call, follow } from './api.ts';
import { chartsOf } from './charts.ts';
import { runningCard, waitingCard, type RunningCommand } from './commands.ts';
import { endText } from './dialogs.ts';
import { byId, Keyed, say, set, show } from './dom.ts';
import { legend } from './phases.ts';
import { isWanted, recentRow } from './recent.ts';
import { Output } from './terminal.ts';
import { workerCard } from './workers.ts';

// zod would try whether it may make functions from text, which the page's policy forbids.
config({ jitless: true });

const SECOND = 1000;
/** Records the charts are made of, rows of the table, and jobs whose output is kept. */
const CHARTED = 1000;
const ROWS = 100;
const MOST_OUTPUTS = 64;
/** ms between two drawings of the charts. */
const CHARTS = 2000;

let watched: Watched = nothingWatched;
const outputs = new Map<string, Output>();
/** Records that the charts are made of, by id. */
const charted = new Map<string, HistoryRecord>();
let drawing = 0;
let charting = 0;

const now = (): number => Date.now() + watched.ahead;
const outputOf = (job: string): Output | undefined => outputs.get(job);
const around = { now, outputOf };

const filter = byId('filter');
const kind = byId('kind');
const valueOf = (element: HTMLElement): string =>
  element instanceof HTMLInputElement || element instanceof HTMLSelectElement ? element.value : '';

const workers = new Keyed(byId('workers'), ({ id }) => id, workerCard);
const running = new Keyed(
  byId('running'),
  (command: RunningCommand) => command.job.id,
  (command) => runningCard(command, around),
);
const waiting = new Keyed(
  byId('waiting'),
  ({ id }) => id,
  (each: Watched['queue'][number]) => waitingCard(each, around),
);
const recent = new Keyed(
  byId('recent'),
  ({ id }) => id,
  (record: HistoryRecord) => recentRow(record, outputOf),
);

function summary({ daemon, jobs, local, queue, counts }: Watched): string {
  if (daemon.version === '') return '';
  const lost = counts.lost === 0 ? '' : `, ${counts.lost} lost`;
  return [
    `${daemon.version}, up ${duration(Math.max(0, now() - daemon.startedAt))}`,
    `${count(jobs.length, 'command')} on workers, ${local.leases.length} here (${local.used} of ${count(local.limit, 'core')}), ${queue.length} waiting`,
    `so far ${counts.remote} remote, ${counts.local} here${lost}`,
  ].join(' · ');
}

function troubleOf({ daemon }: Watched): string {
  if (daemon.problems.length > 0) return daemon.problems.join('; ');
  return daemon.enabled ? '' : 'general.enabled is off: every command runs here';
}

function update(): void {
  drawing = 0;
  const { jobs, local, queue, records } = watched;
  say(byId('summary'), summary(watched));
  const trouble = troubleOf(watched);
  say(byId('trouble'), trouble);
  show(byId('trouble'), trouble !== '');
  workers.update(watched.workers);
  show(byId('no-workers'), watched.workers.length === 0);
  const commands: RunningCommand[] = [
    ...jobs.map((job) => ({ kind: 'job', job }) as const),
    ...local.leases.map((job) => ({ kind: 'lease', job }) as const),
  ];
  running.update(commands);
  say(byId('running-count'), commands.length === 0 ? '' : String(commands.length));
  show(byId('no-running'), commands.length === 0);
  waiting.update(queue);
  say(byId('waiting-count'), String(queue.length));
  show(byId('waiting-section'), queue.length > 0);
  const wanted = { text: valueOf(filter), kind: valueOf(kind) };
  const going = new Set(local.leases.map(({ id }) => id));
  const rows = records
    .filter((record) => !going.has(record.id) && isWanted(record, wanted))
    .slice(0, ROWS);
  recent.update(rows);
  show(byId('no-recent'), rows.length === 0);
}

function soon(): void {
  if (drawing === 0) drawing = requestAnimationFrame(update);
}

function chartSoon(): void {
  if (charting !== 0) return;
  charting = window.setTimeout(() => {
    charting = 0;
    const charts = byId('charts');
    // Whoever reads a chart as a table is not interrupted.
    if (charts.querySelector('details[open]') !== null) return;
    const going = new Set(watched.jobs.map(({ id }) => id));
    const newest = [...charted.values()]
      .filter(({ id }) => !going.has(id))
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt))
      .slice(0, CHARTED);
    charts.replaceChildren(...chartsOf(newest));
  }, CHARTS);
}

/** Tells a screen reader what ended on a worker. */
function announce(records: readonly HistoryRecord[]): void {
  const last = records.findLast(({ decision }) => decision === 'remote');
  if (last === undefined || watched.records.length === 0) return;
  const end = endText(last);
  say(byId('announcement'), `${last.command} ended${end === '' ? '' : `, ${end}`}`);
}

function heard(event: WatchEvent): void {
  if (event.type === 'output') {
    const output = outputs.get(event.job) ?? new Output();
    output.write(event.data, event.skipped);
    outputs.delete(event.job);
    outputs.set(event.job, output);
    const [oldest] = outputs.keys();
    if (outputs.size > MOST_OUTPUTS && oldest !== undefined) outputs.delete(oldest);
  } else if (event.type === 'records') {
    announce(event.records);
    for (const record of event.records) charted.set(record.id, record);
    chartSoon();
  }
  watched = afterEvent(watched, event, Date.now());
  soon();
}

async function older(): Promise<void> {
  const reply = await call('history', { n: CHARTED });
  if (!reply.ok) return;
  for (const record of reply.value) if (!charted.has(record.id)) charted.set(record.id, record);
  chartSoon();
}

byId('legend').append(...legend());
for (const element of [filter, kind]) element.addEventListener('input', soon);
setInterval(soon, SECOND);
void older();
void follow({
  event: heard,
  connected: () => {
    outputs.clear();
    say(byId('connection'), 'live');
    set(byId('connection'), 'class', undefined);
  },
  lost: (reason) => {
    say(byId('connection'), reason);
    set(byId('connection'), 'class', 'lost');
  },
});
