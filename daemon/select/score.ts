/**
 * How good a worker is for a command: four terms of 0 to 1, weighted. The terms and their weights are those of the
 * plan's unified selection; what each of them means is said here.
 */
import type { ScoreTerms, WorkerVerdict } from '../../src/protocol/methods.ts';

export type Weights = ScoreTerms;

/** What experience says of a worker and a command. */
export type Prospect = {
  /**
   * Part of the project's bytes that would have to move, 0 to 1; 1 where the project never was. What moved to other
   * workers since the last visit is taken for what is missing.
   */
  readonly missing: number;
  /** ms the command would take there, way and all; undefined without experience. */
  readonly thereMs: number | undefined;
};

export type Scored = {
  /** Score of its benchmark, the higher the faster; undefined before the first. */
  readonly speed: number | undefined;
  readonly slots: { readonly total: number; readonly free: number; readonly granted: number };
  readonly prospect: Prospect;
};

export type Scale = {
  /** The best speed among the workers that could take it; undefined when none is known. */
  readonly bestSpeed: number | undefined;
  /** Slots the command would use. */
  readonly wished: number;
  /** ms the command would take here now; undefined without experience. */
  readonly hereMs: number | undefined;
};

/** A speed nobody measured counts as this part of the best one. */
const UNKNOWN_SPEED = 0.75;

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

export function termsOf(worker: Scored, scale: Scale): ScoreTerms {
  const { bestSpeed, wished, hereMs } = scale;
  const { speed, slots, prospect } = worker;
  const relative =
    bestSpeed === undefined || bestSpeed === 0
      ? 1
      : speed === undefined
        ? UNKNOWN_SPEED
        : speed / bestSpeed;
  return {
    speed: clamp(relative * Math.min(1, slots.granted / Math.max(1, wished))),
    slots: clamp(slots.total === 0 ? 0 : slots.free / slots.total),
    affinity: clamp(1 - prospect.missing),
    cost:
      prospect.thereMs === undefined || hereMs === undefined || hereMs === 0
        ? 0
        : clamp(1 - prospect.thereMs / hereMs),
  };
}

/**
 * 0 to 100 for a worker of priority 100, in proportion to the priority and to its health (1: nothing is wrong); a
 * preferred worker stands above all others.
 */
export function scoreOf(
  terms: ScoreTerms,
  weights: Weights,
  favour: { readonly priority: number; readonly preferred: boolean; readonly health: number },
): number {
  const whole = weights.speed + weights.slots + weights.affinity + weights.cost;
  const sum =
    weights.speed * terms.speed +
    weights.slots * terms.slots +
    weights.affinity * terms.affinity +
    weights.cost * terms.cost;
  const own = (whole === 0 ? 0 : sum / whole) * favour.priority * favour.health;
  const score = own + (favour.preferred ? 1000 : 0);
  return Math.round(score * 10) / 10;
}

const disadvantages: Readonly<Record<keyof ScoreTerms, string>> = {
  speed: 'slower',
  slots: 'less free',
  affinity: 'holds less of the project',
  cost: 'saves less time',
};

/** Less than this is no difference that shows in a score. */
const LEAST = 0.05;

/** Why a worker that could have taken the command was not chosen, in words, the weightiest reason first. */
export function lostBy(loser: WorkerVerdict, winner: WorkerVerdict, weights: Weights): string {
  if (winner.preferred === true && loser.preferred !== true)
    return `the project prefers ${winner.worker}`;
  const { terms, priority = 0 } = loser;
  const best = winner.terms;
  if (terms === undefined || best === undefined) return '';
  const names = Object.keys(disadvantages) as (keyof ScoreTerms)[];
  const whole = names.reduce((sum, name) => sum + weights[name], 0);
  const behind = names
    .map((name) => ({
      name,
      by: whole === 0 ? 0 : (weights[name] * (best[name] - terms[name]) * priority) / whole,
    }))
    .filter(({ by }) => by >= LEAST)
    .sort((a, b) => b.by - a.by)
    .map(({ name, by }) => `${disadvantages[name]} (-${by.toFixed(1)})`);
  const least =
    winner.priority !== undefined && priority < winner.priority
      ? [`priority ${priority} against ${winner.priority}`]
      : [];
  const worse = loser.degraded === undefined ? [] : ['degraded'];
  const reasons = [...least, ...worse, ...behind];
  return reasons.length === 0 ? `no worse; ${winner.worker} stands first` : reasons.join(', ');
}
