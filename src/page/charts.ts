/** The charts of the history: drawn as SVG, each with the same as a table. */
import { duration } from '../cli/render/text.ts';
import type { HistoryRecord } from '../protocol/methods.ts';
import {
  columnsOf,
  dotsOf,
  medianOf,
  reasonsOf,
  sharesOf,
  type Column,
  type Dot,
} from './chart-data.ts';
import { draw, make } from './dom.ts';
import { phaseMeanings, type Piece } from './phases.ts';

/** The inside of a chart, in units of its view box. */
const WIDTH = 480;
const HEIGHT = 190;
const LEFT = 56;
const BOTTOM = 22;
const TOP = 10;
const plotWidth = WIDTH - LEFT - 8;
const plotHeight = HEIGHT - TOP - BOTTOM;

const MOST_REASONS = 6;

type Table = { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

function clock(at: number, days: boolean): string {
  const date = new Date(at);
  return days
    ? date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
    : date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}

function tableOf({ head, rows }: Table): HTMLElement {
  const cells = (tag: 'th' | 'td', row: readonly string[]): HTMLElement[] =>
    row.map((text) => make(tag, tag === 'th' ? { scope: 'col' } : {}, text));
  return make(
    'details',
    {},
    make('summary', {}, 'As a table'),
    make(
      'div',
      { class: 'wide' },
      make(
        'table',
        {},
        make('thead', {}, make('tr', {}, ...cells('th', head))),
        make('tbody', {}, ...rows.map((row) => make('tr', {}, ...cells('td', row)))),
      ),
    ),
  );
}

function figure(title: string, parts: readonly (HTMLElement | SVGElement)[]): HTMLElement {
  return make('figure', {}, make('figcaption', {}, title), ...parts);
}

function chart(label: string, parts: readonly SVGElement[]): SVGElement {
  const view = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label };
  return draw('svg', { class: 'chart', ...view }, ...parts);
}

/** A line across at that height, with its value. */
function rule(y: number, text: string): SVGElement[] {
  return [
    draw('line', { x1: LEFT, x2: WIDTH - 8, y1: y, y2: y }),
    draw('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, text),
  ];
}

function timesBelow(first: number, last: number): SVGElement[] {
  const days = last - first > 36 * 3_600_000;
  const y = HEIGHT - 5;
  const [from, till] = [clock(first, days), clock(last, days)];
  return [
    draw('text', { x: LEFT, y }, from),
    ...(till === from ? [] : [draw('text', { x: WIDTH - 8, y, 'text-anchor': 'end' }, till)]),
  ];
}

const parts = [
  ['remote', 'run', 'on workers'],
  ['local', 'queue', 'here'],
  ['failed', 'bad', 'failed'],
] as const;

/** A height above the highest column that divides into whole halves. */
function ceilingOf(highest: number): number {
  const step = 10 ** Math.floor(Math.log10(Math.max(1, highest)));
  const ceiling = [2, 4, 6, 10, 20].map((n) => n * Math.max(1, step)).find((n) => n >= highest);
  return ceiling ?? highest;
}

function columnsChart(columns: readonly Column[]): HTMLElement {
  const sums = columns.map(({ remote, local, failed }) => remote + local + failed);
  const ceiling = ceilingOf(Math.max(...sums));
  const width = plotWidth / columns.length;
  const bars = columns.flatMap((column, at) => {
    let y = TOP + plotHeight;
    return parts.flatMap(([name, fill, words]) => {
      const height = (column[name] / ceiling) * plotHeight;
      if (height === 0) return [];
      y -= height;
      const x = LEFT + at * width + Math.min(2, width / 8);
      const title = `${new Date(column.from).toLocaleString()}: ${column[name]} ${words}`;
      const size = { width: Math.min(40, width - Math.min(4, width / 4)), height };
      return [draw('rect', { class: `fill-${fill}`, x, y, ...size }, draw('title', {}, title))];
    });
  });
  const [first, last] = [columns[0]?.from ?? 0, columns.at(-1)?.from ?? 0];
  const total = (name: 'remote' | 'local' | 'failed'): number =>
    columns.reduce((sum, column) => sum + column[name], 0);
  const label = `Commands over time: ${parts.map(([name, , words]) => `${total(name)} ${words}`).join(', ')}`;
  const legend = parts.map(([, fill, words]) =>
    make('span', {}, make('i', { class: `fill-${fill}` }), words),
  );
  return figure('Commands', [
    chart(label, [
      ...rule(TOP, String(ceiling)),
      ...rule(TOP + plotHeight / 2, String(ceiling / 2)),
      ...rule(TOP + plotHeight, '0'),
      ...bars,
      ...timesBelow(first, last),
    ]),
    make('p', { class: 'legend', 'aria-hidden': 'true' }, ...legend),
    tableOf({
      head: ['From', ...parts.map(([, , words]) => words)],
      rows: columns.map((column) => [
        new Date(column.from).toLocaleString(),
        ...parts.map(([name]) => String(column[name])),
      ]),
    }),
  ]);
}

function dotsChart(dots: readonly Dot[]): HTMLElement {
  const times = dots.map(({ ms }) => ms);
  // Powers of ten around all of them: a build of a minute and a call of 50 ms are both to be seen.
  const low = Math.floor(Math.log10(Math.min(...times)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...times))));
  const [first, last] = [dots[0]?.at ?? 0, dots.at(-1)?.at ?? 0];
  const y = (ms: number): number => TOP + plotHeight * (1 - (Math.log10(ms) - low) / (high - low));
  const x = (at: number): number =>
    LEFT + 4 + (last === first ? 0.5 : (at - first) / (last - first)) * (plotWidth - 8);
  const median = medianOf(times);
  const label = `Time of ${dots.length} commands on workers, from ${duration(Math.min(...times))} to ${duration(Math.max(...times))}, half of them below ${duration(median)}`;
  const powers = Array.from({ length: high - low + 1 }, (_, at) => low + at);
  return figure(`Time on workers, median ${duration(median)}`, [
    chart(label, [
      ...powers.flatMap((power) => rule(y(10 ** power), duration(10 ** power))),
      ...dots.map(({ at, ms, record }) =>
        draw(
          'circle',
          { class: 'dot', cx: x(at), cy: y(ms), r: 3 },
          draw('title', {}, `${record.command}: ${duration(ms)} on ${record.worker ?? ''}`),
        ),
      ),
      draw('line', { class: 'median', x1: LEFT, x2: WIDTH - 8, y1: y(median), y2: y(median) }),
      ...timesBelow(first, last),
    ]),
    tableOf({
      head: ['Started', 'Command', 'Took'],
      rows: dots
        .slice(-50)
        .reverse()
        .map(({ at, ms, record }) => [new Date(at).toLocaleString(), record.command, duration(ms)]),
    }),
  ]);
}

/** Bars across, each with its name above. */
function barsChart(
  title: string,
  rows: readonly {
    readonly name: string;
    readonly value: number;
    readonly words: string;
    readonly fill: string;
  }[],
): HTMLElement {
  const highest = Math.max(...rows.map(({ value }) => value));
  const step = 30;
  const bars = rows.flatMap(({ name, value, words, fill }, at) => {
    const y = at * step;
    const width = Math.max(2, (value / highest) * (WIDTH - 90));
    const text = name.length > 78 ? `${name.slice(0, 77)}…` : name;
    return [
      draw('text', { class: 'strong', x: 0, y: y + 11 }, text, draw('title', {}, name)),
      draw('rect', { class: `fill-${fill}`, x: 0, y: y + 15, width, height: 9 }),
      draw('text', { x: width + 6, y: y + 23 }, words),
    ];
  });
  const label = `${title}: ${rows.map(({ name, words }) => `${name} ${words}`).join(', ')}`;
  const viewBox = `0 0 ${WIDTH} ${Math.max(1, rows.length) * step}`;
  return figure(title, [
    draw('svg', { class: 'chart', viewBox, role: 'img', 'aria-label': label }, ...bars),
    tableOf({ head: [title, ''], rows: rows.map(({ name, words }) => [name, words]) }),
  ]);
}

function sharesChart(shares: readonly Piece[]): HTMLElement {
  const whole = shares.reduce((sum, { ms }) => sum + ms, 0);
  const rows = shares.map(({ name, ms }) => ({
    name: phaseMeanings[name],
    value: ms,
    words: `${((ms / whole) * 100).toFixed(0)} %, ${duration(ms)}`,
    fill: name,
  }));
  return barsChart('Where the time on workers went', rows);
}

function reasonsChart(reasons: readonly (readonly [string, number])[]): HTMLElement {
  const rows = reasons.map(([name, value]) => ({
    name,
    value,
    words: String(value),
    fill: 'queue',
  }));
  return barsChart('Why commands ran here', rows);
}

/** All charts that have something to show. */
export function chartsOf(records: readonly HistoryRecord[]): HTMLElement[] {
  const columns = columnsOf(records);
  const dots = dotsOf(records);
  const shares = sharesOf(records);
  const reasons = reasonsOf(records, MOST_REASONS);
  if (columns.length === 0)
    return [make('p', { class: 'none' }, 'Nothing came through the shims yet.')];
  return [
    columnsChart(columns),
    ...(dots.length === 0 ? [] : [dotsChart(dots)]),
    ...(shares.length === 0 ? [] : [sharesChart(shares)]),
    ...(reasons.length === 0 ? [] : [reasonsChart(reasons)]),
  ];
}
