/** The phases of one command as bars under each other, as wide as the terminal. */
import type { HistoryRecord } from '../../protocol/methods.ts';
import type { Colors, Look } from '../report.ts';
import { endOf, phaseNames, shortId, type PhaseName } from './record.ts';
import { clip, duration, printable, size } from './text.ts';

/** Columns of the bars at least and at most. */
const NARROWEST = 10;
const WIDEST = 100;
/** Columns of a line with a bar where there is no terminal to fill. */
const PAPER = 100;
/** ms of a part that is not worth a row of its own. */
const LEAST_REST = 1;

type Part = { readonly name: PhaseName | 'rest'; readonly begin: number; readonly ms: number };

/**
 * What happened when: each phase begins where the one before it ends, as the daemon measures how long each took. What
 * is left of the total (hooks, the last words to the launcher) comes last.
 */
export function partsOf({ phases }: Pick<HistoryRecord, 'phases'>): Part[] {
  let begin = 0;
  const parts = phaseNames.flatMap((name): Part[] => {
    const ms = phases[name];
    if (ms === undefined) return [];
    const part = { name, begin, ms };
    begin += ms;
    return [part];
  });
  const rest = (phases.total ?? begin) - begin;
  return rest < LEAST_REST ? parts : [...parts, { name: 'rest', begin, ms: rest }];
}

const paint: Readonly<Record<Part['name'], (colors: Colors) => (text: string) => string>> = {
  queue: (colors) => colors.dim,
  scan: (colors) => colors.cyan,
  sync: (colors) => colors.blue,
  start: (colors) => colors.magenta,
  run: (colors) => colors.green,
  return: (colors) => colors.yellow,
  rest: (colors) => colors.dim,
};

/** A bar of `part` on a line of `width` columns that stands for `total` ms; each shows, however short. */
function bar({ begin, ms }: Part, total: number, width: number): { at: number; text: string } {
  const at = Math.min(width - 1, Math.floor((begin / total) * width));
  const end = Math.max(at + 1, Math.round(((begin + ms) / total) * width));
  const short = (ms / total) * width < 0.5;
  return { at, text: short ? '▏' : '█'.repeat(end - at) };
}

function rows(parts: readonly Part[], total: number, { colors, width }: Look): string[] {
  const names = Math.max(...parts.map(({ name }) => name.length));
  const times = parts.map(({ ms }) => duration(ms));
  const widest = Math.max(...times.map((time) => time.length));
  const room = width === Infinity ? PAPER : width;
  const columns = Math.min(WIDEST, Math.max(NARROWEST, room - names - widest - 4));
  const lines = parts.map((part, index) => {
    const { at, text } = bar(part, total, columns);
    const after = ' '.repeat(Math.max(0, columns - at - text.length));
    const time = (times[index] ?? '').padStart(widest);
    return `${part.name.padEnd(names)}  ${' '.repeat(at)}${paint[part.name](colors)(text)}${after}  ${time}`;
  });
  const end = duration(total);
  const axis = `${' '.repeat(names)}  0${end.padStart(columns - 1)}`;
  return [...lines, colors.dim(axis)];
}

export function timelineText(record: HistoryRecord, look: Look): string {
  const { colors, width } = look;
  const parts = partsOf(record);
  const total = parts.reduce((sum, { ms }) => sum + ms, 0);
  const where = record.decision === 'remote' ? (record.worker ?? 'a worker') : 'here';
  const when = record.startedAt.slice(0, 19).replace('T', ' ');
  const facts = [where, endOf(record), `${when} UTC`, `job ${shortId(record.id)}`];
  const { sent, received, output } = record.bytes;
  return [
    colors.bold(clip(printable(record.command), width)),
    clip(facts.filter((fact) => fact !== '').join(', '), width),
    '',
    ...(total > 0
      ? rows(parts, total, look)
      : ['how long it took is not known: it ran here, at once and unwatched, or it runs still']),
    ...(sent + received + output === 0
      ? []
      : [
          '',
          clip(`sent ${size(sent)}, received ${size(received)}, output ${size(output)}`, width),
        ]),
  ].join('\n');
}
