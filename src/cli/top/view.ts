/** The whole screen of `rch top` for a model: lines from top to bottom, never more or wider than the window. */
import type { TerminalText } from '../../base/terminal-text.ts';
import { count, duration, printable } from '../render/text.ts';
import { aboutOf, foldedFacts } from './about.ts';
import { itemsOf, selectedAt, type Item, type Model, type Order } from './model.ts';
import { painted, wrapped, type Line, type Paper } from './paint.ts';
import { rowOf, type Rows } from './rows.ts';

/** Windows below this show only that they are too small. */
const LEAST = { rows: 8, columns: 40 };

const headings: Readonly<Record<Item['kind'], string>> = {
  worker: 'WORKERS',
  job: 'RUNNING ON WORKERS',
  lease: 'RUNNING HERE',
  waiting: 'WAITING',
  record: 'RECENT',
};

const helpText = `rch top shows workers, what runs and waits, and what ended lately.

  up, down, k, j      move; so do PgUp, PgDn, Home, End, g, G
  Tab, Shift-Tab      the next section, the one before
  Enter               more of it; the whole output of what runs on a worker
  w                   why a command runs, or ran, where it does
  c                   cancel a command that runs or waits, as Ctrl-C would
  d                   drain a worker: nothing new is sent there; or let it work
  /                   show only what contains a text; Esc shows everything again
  Ctrl-L, Ctrl-Z      draw the screen anew, back to the shell for a while
  q, Ctrl-C           quit: builds go on

Any key goes back.`;

export type Scene = {
  readonly model: Model;
  readonly paper: Paper;
  /** By the daemon's clock, ms since the epoch. */
  readonly now: number;
  /** What jobs wrote, by id. */
  readonly outputs: ReadonlyMap<string, TerminalText>;
};

function headerOf({ model, now }: Scene): Line {
  const { daemon, jobs, local, queue, counts } = model.watched;
  const up = daemon.startedAt === 0 ? '' : ` up ${duration(Math.max(0, now - daemon.startedAt))}`;
  const lost = counts.lost === 0 ? '' : `, ${counts.lost} lost`;
  return [
    { text: `rch ${daemon.version}`, tone: 'bold' },
    { text: `${up}  ` },
    { text: `${jobs.length} on workers`, tone: 'accent' },
    { text: `, ${local.leases.length} here, ${queue.length} waiting` },
    { text: `  so far ${counts.remote} there, ${counts.local} here`, tone: 'dim' },
    { text: lost, tone: 'bad' },
  ];
}

/** What stands in the way of everything, if anything does. */
function troubleOf({ live, watched }: Model): Line | undefined {
  if (!live)
    return [{ text: 'the daemon is gone; looking for it (rch daemon start)', tone: 'bad' }];
  const [problem] = watched.daemon.problems;
  if (problem !== undefined) return [{ text: printable(problem), tone: 'bad' }];
  if (!watched.daemon.enabled)
    return [{ text: 'general.enabled = false: every command runs here', tone: 'warn' }];
  return undefined;
}

function question(order: Order): string {
  if (order.kind === 'cancel') return `cancel ${printable(order.command)}? (y/n)`;
  if (order.mandate === 'enabled') return `send commands to ${order.worker} again? (y/n)`;
  const going = order.jobs === 0 ? '' : `; ${count(order.jobs, 'command')} there may end`;
  return `drain ${order.worker}: nothing new is sent there${going}? (y/n)`;
}

function footerOf({ model }: Scene): Line {
  const { mode, filter, message } = model;
  if (mode.at === 'confirm') return [{ text: question(mode.order), tone: 'warn' }];
  if (mode.at === 'filter') return [{ text: `show only: ${filter}_`, tone: 'accent' }];
  if (message !== '') return [{ text: printable(message), tone: 'warn' }];
  const only = filter === '' ? '' : `only "${filter}" (Esc: all)  `;
  const keys =
    mode.at === 'large' || mode.at === 'why'
      ? 'Esc back  up/down scroll  c cancel  d drain  w why'
      : '? help  Enter more  w why  c cancel  d drain  / filter  q quit';
  return [
    { text: only, tone: 'accent' },
    { text: keys, tone: 'dim' },
  ];
}

type Listed = { readonly line: Line; readonly item: Item | undefined };

/** Headings and rows, and a word where there is nothing. */
function listOf(items: readonly Item[], rows: Rows, filter: string): Listed[] {
  if (items.length === 0) {
    const text =
      filter === ''
        ? 'no workers yet (rch workers add), and nothing came through the shims'
        : 'nothing contains that';
    return [{ line: [{ text, tone: 'dim' }], item: undefined }];
  }
  return items.flatMap((item, at) => {
    const row = { line: rowOf(item, rows), item };
    if (items[at - 1]?.kind === item.kind) return [row];
    const heading = {
      line: [{ text: headings[item.kind], tone: 'dim' as const }],
      item: undefined,
    };
    return [heading, row];
  });
}

/** The part of the list around the selection. */
function listLines(scene: Scene, height: number): string[] {
  const { model, paper, now } = scene;
  const items = itemsOf(model);
  const selected = items[selectedAt(model, items)];
  const all = listOf(items, { paper: { ...paper, columns: paper.columns - 2 }, now }, model.filter);
  const at = all.findIndex(({ item }) => item !== undefined && item === selected);
  const first = Math.max(0, Math.min(all.length - height, at - Math.floor(height / 2)));
  return all.slice(first, first + height).map(({ line, item }) => {
    const chosen = item !== undefined && item === selected;
    const mark = item === undefined ? '' : chosen ? '> ' : '  ';
    return painted([{ text: mark }, ...line], paper, chosen);
  });
}

/** More on the selected thing, `height` lines at the most; `scroll` lines up from the end of its output. */
function aboutLines(scene: Scene, height: number, scroll: number): string[] {
  const { model, paper, now, outputs } = scene;
  const items = itemsOf(model);
  const item = items[selectedAt(model, items)];
  if (item === undefined || height < 3) return [];
  const text = item.kind === 'job' ? outputs.get(item.job.id) : undefined;
  const about = aboutOf(item, { paper, now }, { text, lines: height + scroll });
  const rule = (paper.unicode ? '─' : '-').repeat(paper.columns);
  const facts = foldedFacts(about, paper.columns).slice(0, height - 2);
  const room = height - 2 - facts.length;
  const output = about.output ?? [];
  const end = Math.max(0, Math.min(output.length, Math.max(room, output.length - scroll)));
  return [
    painted([{ text: rule, tone: 'dim' }], paper),
    painted([{ text: about.title, tone: 'bold' }], paper),
    ...facts.map((fact) => painted(fact, paper)),
    ...(room <= 0 ? [] : output.slice(Math.max(0, end - room), end)).map((each) =>
      painted(each, paper),
    ),
  ];
}

function textLines(
  lines: readonly string[],
  scroll: number,
  { paper }: Scene,
  height: number,
): string[] {
  const folded = lines.flatMap((text) => wrapped(text, paper.columns));
  const first = Math.max(0, Math.min(scroll, folded.length - height));
  return folded.slice(first, first + height).map((text) => painted([{ text }], paper));
}

function bodyLines(scene: Scene, height: number): string[] {
  const { mode } = scene.model;
  switch (mode.at) {
    case 'help':
      return textLines(helpText.split('\n'), 0, scene, height);
    case 'why':
      return textLines(mode.lines, mode.scroll, scene, height);
    case 'large':
      return aboutLines(scene, height, mode.scroll);
    case 'list':
    case 'filter':
    case 'confirm': {
      const below = Math.max(5, Math.floor(height * 0.45));
      const list = listLines(scene, height - below);
      const filled = [
        ...list,
        ...Array<string>(Math.max(0, height - below - list.length)).fill(''),
      ];
      return [...filled, ...aboutLines(scene, below, 0)];
    }
  }
}

export function screenOf(scene: Scene): string[] {
  const { paper, model } = scene;
  if (paper.rows < LEAST.rows || paper.columns < LEAST.columns)
    return [painted([{ text: `rch top needs ${LEAST.columns} x ${LEAST.rows}` }], paper)];
  const trouble = troubleOf(model);
  const top = [
    painted(headerOf(scene), paper),
    ...(trouble === undefined ? [] : [painted(trouble, paper)]),
  ];
  const height = paper.rows - top.length - 1;
  const body = bodyLines(scene, height);
  const filled = [...body, ...Array<string>(Math.max(0, height - body.length)).fill('')];
  return [...top, ...filled.slice(0, height), painted(footerOf(scene), paper)];
}
