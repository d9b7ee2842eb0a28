/** The phases of a command as a bar, and in words. */
import { duration } from '../cli/render/text.ts';
import type { HistoryRecord } from '../protocol/methods.ts';
import type { WatchedJob } from '../protocol/watch.ts';
import { draw, make } from './dom.ts';

export const phaseNames = ['queue', 'scan', 'sync', 'start', 'run', 'return'] as const;
export type PhaseName = (typeof phaseNames)[number];
export type Piece = { readonly name: PhaseName; readonly ms: number };

export const phaseMeanings: Readonly<Record<PhaseName, string>> = {
  queue: 'waiting',
  scan: 'scan',
  sync: 'sending',
  start: 'start',
  run: 'run',
  return: 'bringing back',
};

/** None for what ran here and of which no more is known than that it waited. */
export function piecesOf({ phases, decision }: HistoryRecord): Piece[] {
  if (decision === 'local' && phases.run === undefined) return [];
  return phaseNames.flatMap((name) => {
    const ms = phases[name] ?? 0;
    return ms > 0 ? [{ name, ms }] : [];
  });
}

/** What a link calls a phase while it lasts. */
function nameOf(phase: string): PhaseName {
  if (phase.startsWith('running')) return 'run';
  if (phase.startsWith('returning')) return 'return';
  if (phase.startsWith('sending') || phase.startsWith('gathering')) return 'sync';
  return phase === 'planned' ? 'scan' : 'queue';
}

/** Those of a running job up to now. */
export function piecesOfJob({ steps }: WatchedJob, now: number): Piece[] {
  return steps.map(({ phase, since }, at) => ({
    name: nameOf(phase),
    ms: Math.max(0, (steps[at + 1]?.since ?? now) - since),
  }));
}

/** `sending 1.2 s, run 3.4 s`. */
export function piecesText(pieces: readonly Piece[]): string {
  return pieces.map(({ name, ms }) => `${phaseMeanings[name]} ${duration(ms)}`).join(', ');
}

/** A bar of 100 units, the pieces in their order; a hair of white keeps neighbours apart. */
export class PhaseBar {
  readonly element = draw('svg', {
    class: 'phases',
    viewBox: '0 0 1000 10',
    preserveAspectRatio: 'none',
    role: 'img',
  });
  #shown = '';

  update(pieces: readonly Piece[]): void {
    const label = piecesText(pieces);
    if (label === this.#shown) return;
    this.#shown = label;
    this.element.setAttribute('aria-label', label === '' ? 'no phases' : label);
    const whole = pieces.reduce((sum, { ms }) => sum + ms, 0);
    let at = 0;
    const bars = pieces.map(({ name, ms }) => {
      const width = whole === 0 ? 0 : (ms / whole) * 1000;
      const bar = draw(
        'rect',
        { class: `fill-${name}`, x: at, y: 0, width: Math.max(2, width - 2), height: 10 },
        draw('title', {}, `${phaseMeanings[name]} ${duration(ms)}`),
      );
      at += width;
      return bar;
    });
    this.element.replaceChildren(...bars);
  }
}

/** What the colours mean. */
export function legend(): HTMLElement[] {
  return phaseNames.map((name) =>
    make('span', {}, make('i', { class: `fill-${name}` }), phaseMeanings[name]),
  );
}
