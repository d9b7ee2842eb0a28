/** What `rch top` shows and what a key does to it; decides alone, the rest is in top.ts. */
import type { HistoryRecord } from '../../protocol/methods.ts';
import {
  nothingWatched,
  type Watched,
  type WatchedJob,
  type WatchedLease,
  type WatchedWaiting,
  type WatchedWorker,
} from '../../protocol/watch.ts';

export type Item =
  | { readonly kind: 'worker'; readonly key: string; readonly worker: WatchedWorker }
  | { readonly kind: 'job'; readonly key: string; readonly job: WatchedJob }
  | { readonly kind: 'lease'; readonly key: string; readonly lease: WatchedLease }
  | { readonly kind: 'waiting'; readonly key: string; readonly waiting: WatchedWaiting }
  | { readonly kind: 'record'; readonly key: string; readonly record: HistoryRecord };

/** What the user wants done, once they have said so twice. */
export type Order =
  | { readonly kind: 'cancel'; readonly job: string; readonly command: string }
  | {
      readonly kind: 'order';
      readonly worker: string;
      readonly mandate: 'enabled' | 'draining';
      /** Commands that are there. */
      readonly jobs: number;
    };

/**
 * - `list`: everything, and below it more on what is selected.
 * - `large`: what is selected alone.
 * - `filter`: the filter is being typed.
 */
export type Mode =
  | { readonly at: 'list' | 'help' | 'filter' }
  | { readonly at: 'large'; readonly scroll: number }
  | { readonly at: 'why'; readonly scroll: number; readonly lines: readonly string[] }
  | { readonly at: 'confirm'; readonly order: Order };

export type Model = {
  readonly watched: Watched;
  /** False while there is no daemon to ask. */
  readonly live: boolean;
  /** What is selected, and where it stood: when it goes, its neighbour takes its place. */
  readonly selected: { readonly key: string; readonly at: number };
  readonly filter: string;
  readonly mode: Mode;
  /** What came of the last order. */
  readonly message: string;
};

/** What is to be done beside the new model. */
export type Act =
  | { readonly kind: 'quit' | 'suspend' | 'redraw' }
  | { readonly kind: 'why'; readonly job: string }
  | Order;

export type Step = { readonly model: Model; readonly act?: Act };

/** Records shown. */
const RECENT = 100;
/** Rows that a page key moves by. */
const PAGE = 10;

export const firstModel: Model = {
  watched: nothingWatched,
  live: true,
  selected: { key: '', at: 0 },
  filter: '',
  mode: { at: 'list' },
  message: '',
};

function wordsOf(item: Item): readonly string[] {
  switch (item.kind) {
    case 'worker':
      return [item.worker.id, item.worker.host, item.worker.health, ...item.worker.tags];
    case 'job':
      return [item.job.id, item.job.worker, item.job.command, item.job.cwd, item.job.caller];
    case 'lease':
      return [item.lease.id, 'here', item.lease.command, item.lease.cwd, item.lease.caller];
    case 'waiting': {
      const { id, command, cwd, caller } = item.waiting;
      return [id, command, cwd, caller, ...item.waiting.for];
    }
    case 'record': {
      const { id, command, cwd, reason, worker } = item.record;
      return [id, command, cwd, reason, worker ?? 'here'];
    }
  }
}

/** Everything that can be selected, as it stands from top to bottom. */
export function itemsOf({ watched, filter }: Model): Item[] {
  const { workers, jobs, local, queue, records } = watched;
  const going = new Set(local.leases.map(({ id }) => id));
  const all: Item[] = [
    ...workers.map((worker): Item => ({ kind: 'worker', key: `worker ${worker.id}`, worker })),
    ...jobs.map((job): Item => ({ kind: 'job', key: job.id, job })),
    ...local.leases.map((lease): Item => ({ kind: 'lease', key: lease.id, lease })),
    ...queue.map((waiting): Item => ({ kind: 'waiting', key: `in line ${waiting.id}`, waiting })),
    ...records
      .filter(({ id }) => !going.has(id))
      .slice(0, RECENT)
      .map((record): Item => ({ kind: 'record', key: `record ${record.id}`, record })),
  ];
  const wanted = filter.toLowerCase();
  if (wanted === '') return all;
  return all.filter((item) => wordsOf(item).some((word) => word.toLowerCase().includes(wanted)));
}

/** Where the selection is among these items; -1 where there are none. */
export function selectedAt({ selected }: Model, items: readonly Item[]): number {
  const at = items.findIndex(({ key }) => key === selected.key);
  return at >= 0 ? at : Math.min(selected.at, items.length - 1);
}

export function selectedItem(model: Model): Item | undefined {
  const items = itemsOf(model);
  return items[selectedAt(model, items)];
}

/** The job of an item that one may ask `why` about. */
function jobOf(item: Item | undefined): string | undefined {
  switch (item?.kind) {
    case 'job':
      return item.job.id;
    case 'lease':
      return item.lease.id;
    case 'record':
      return item.record.id;
    case 'waiting':
    case 'worker':
    case undefined:
      return undefined;
  }
}

function select(model: Model, at: number): Model {
  const items = itemsOf(model);
  const to = Math.max(0, Math.min(items.length - 1, at));
  return { ...model, selected: { key: items[to]?.key ?? '', at: to }, message: '' };
}

/** The first item of the next kind, or the one before. */
function nextKind(model: Model, by: 1 | -1): Model {
  const items = itemsOf(model);
  const starts = items.flatMap(({ kind }, at) => (items[at - 1]?.kind === kind ? [] : [at]));
  const now = selectedAt(model, items);
  const section = starts.filter((at) => at <= now).length - 1;
  const to = (section + by + starts.length) % Math.max(1, starts.length);
  return select(model, starts[to] ?? 0);
}

/** What may be asked of the selected item by `c` or `d`. */
function orderFor(model: Model, key: string): Order | string {
  const item = selectedItem(model);
  if (key === 'd') {
    const of = item?.kind === 'job' ? item.job.worker : undefined;
    const worker =
      item?.kind === 'worker' ? item.worker : model.watched.workers.find(({ id }) => id === of);
    if (worker === undefined) return 'select a worker to drain it, or to let it work again';
    const mandate = worker.mandate === 'enabled' ? 'draining' : 'enabled';
    return { kind: 'order', worker: worker.id, mandate, jobs: worker.jobs };
  }
  switch (item?.kind) {
    case 'job':
      return { kind: 'cancel', job: item.job.id, command: item.job.command };
    case 'lease':
      return { kind: 'cancel', job: item.lease.id, command: item.lease.command };
    case 'waiting':
      return { kind: 'cancel', job: item.waiting.id, command: item.waiting.command };
    case 'worker':
    case 'record':
    case undefined:
      return 'select a command that runs or waits to cancel it';
  }
}

const moves: Readonly<Record<string, number>> = {
  ...{ up: -1, k: -1, down: 1, j: 1, pageup: -PAGE, pagedown: PAGE },
  ...{ home: -Infinity, g: -Infinity, end: Infinity, G: Infinity },
};

function inList(model: Model, key: string): Step {
  const move = moves[key];
  if (move !== undefined) return { model: select(model, selectedAt(model, itemsOf(model)) + move) };
  switch (key) {
    case 'tab':
      return { model: nextKind(model, 1) };
    case 'backtab':
      return { model: nextKind(model, -1) };
    case 'enter': {
      const item = selectedItem(model);
      if (item?.kind === 'record') return { model, act: { kind: 'why', job: item.record.id } };
      return { model: item === undefined ? model : { ...model, mode: { at: 'large', scroll: 0 } } };
    }
    case 'w': {
      const job = jobOf(selectedItem(model));
      if (job !== undefined) return { model, act: { kind: 'why', job } };
      return { model: { ...model, message: 'select a command to see why it runs where it does' } };
    }
    case 'c':
    case 'd': {
      const order = orderFor(model, key);
      if (typeof order === 'string') return { model: { ...model, message: order } };
      return { model: { ...model, mode: { at: 'confirm', order } } };
    }
    case '/':
      return { model: { ...model, mode: { at: 'filter' } } };
    case '?':
    case 'h':
      return { model: { ...model, mode: { at: 'help' } } };
    case 'esc':
      return { model: { ...model, filter: '', message: '' } };
    case 'q':
      return { model, act: { kind: 'quit' } };
    default:
      return { model };
  }
}

function inFilter(model: Model, key: string): Step {
  if (key === 'enter') return { model: { ...model, mode: { at: 'list' } } };
  if (key === 'esc') return { model: { ...model, filter: '', mode: { at: 'list' } } };
  const filter =
    key === 'backspace'
      ? model.filter.slice(0, -1)
      : /^.$/u.test(key)
        ? model.filter + key
        : model.filter;
  return { model: { ...model, filter } };
}

/** A text that is larger than the screen; the view keeps `scroll` within it. */
function inText(model: Model, key: string): Step {
  const { mode } = model;
  if (mode.at !== 'large' && mode.at !== 'why') return { model };
  if (['q', 'esc', 'enter'].includes(key)) return { model: { ...model, mode: { at: 'list' } } };
  const move = moves[key];
  // Output is followed from its end, an explanation read from its beginning.
  const by = move === undefined ? 0 : mode.at === 'large' ? -move : move;
  const scroll = Math.max(0, Math.min(mode.scroll + by, MOST_SCROLL));
  if (move !== undefined) return { model: { ...model, mode: { ...mode, scroll } } };
  return key === 'c' || key === 'd' || key === 'w' ? inList(model, key) : { model };
}

/** Lines beyond which nobody scrolls. */
const MOST_SCROLL = 100_000;

/** What a key does. */
export function pressed(model: Model, key: string): Step {
  if (key === 'ctrl-c') return { model, act: { kind: 'quit' } };
  if (key === 'ctrl-z') return { model, act: { kind: 'suspend' } };
  if (key === 'ctrl-l') return { model, act: { kind: 'redraw' } };
  const { mode } = model;
  switch (mode.at) {
    case 'list':
      return inList(model, key);
    case 'filter':
      return inFilter(model, key);
    case 'help':
      return { model: { ...model, mode: { at: 'list' } } };
    case 'large':
    case 'why':
      return inText(model, key);
    case 'confirm': {
      const back: Model = { ...model, mode: { at: 'list' } };
      if (key === 'y' || key === 'Y') return { model: back, act: mode.order };
      return ['n', 'N', 'esc', 'q', 'enter'].includes(key) ? { model: back } : { model };
    }
  }
}
