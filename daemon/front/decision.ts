/** What the front decides about a question. */
import type { DecisionDetails, WorkerVerdict } from '../../src/protocol/methods.ts';
import type { Candidate } from '../classify/verdict.ts';
import type { Plan } from '../plan/types.ts';
import type { FallbackCause } from '../select/select.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Twin } from './jobs.ts';

/**
 * What experience and learned rules go by; `project` is latin1. `group` (project.id) stands for the folder where several
 * share what was experienced; `name` is project.name.
 */
export type Subject = {
  readonly project: string;
  readonly kind: string;
  readonly group?: string | undefined;
  readonly name?: string | undefined;
};

/** What experience goes by. */
export function placeOf({ project, group }: Pick<Subject, 'project' | 'group'>): string {
  return group === undefined ? project : `\0${group}`;
}

export type LocalDecision = {
  readonly kind: 'local';
  readonly reason: string;
  /** A heavy command waits for a lease. */
  readonly weight: 'light' | 'heavy';
  /** Cores that it would use; undefined for all there are. */
  readonly cores?: number | undefined;
  readonly subject: Subject | undefined;
  readonly details: DecisionDetails | null;
  /** It should have gone to a worker, and none could take it, for that cause. */
  readonly fallback?: FallbackCause | undefined;
};

/** A look at the project root that a link made for the plan. */
export type Look = {
  readonly worker: string;
  readonly name: string;
};

export type RemoteDecision = {
  readonly kind: 'remote';
  readonly worker: string;
  /** Cores it gets there. */
  readonly slots: number;
  /** Cores it would use if it had them. */
  readonly wished: number;
  readonly reason: string;
  /** About what it takes here, ms; 0: no matter, it goes. */
  readonly hereMs: number;
  readonly candidate: Candidate;
  readonly plan: Plan;
  /** Undefined: the plan needed none. */
  readonly look: Look | undefined;
  /** The same command, which is at work or about to be: its run may serve this one too. */
  readonly twin: Twin | undefined;
  /** As it holds in the plan's project. */
  readonly config: Config;
  readonly subject: Subject;
  readonly details: DecisionDetails;
};

export type Decision = LocalDecision | RemoteDecision;

/** Collects what `rch why` shows while a decision is made. */
export class Reasons {
  readonly #verdict: string;
  readonly #text = { worth: '', next: '', learned: '' };
  #workers: readonly WorkerVerdict[] = [];
  #plan: Plan | undefined;
  readonly #remarks: string[] = [];

  constructor(verdict: string) {
    this.#verdict = verdict;
  }

  note(name: 'worth' | 'next' | 'learned', text: string): void {
    this.#text[name] = text;
  }

  /** A remark of its own, beside those of the plan. */
  remark(text: string): void {
    if (!this.#remarks.includes(text)) this.#remarks.push(text);
  }

  table(workers: readonly WorkerVerdict[]): void {
    this.#workers = workers;
  }

  planned(plan: Plan): void {
    this.#plan = plan;
  }

  details(): DecisionDetails {
    const roots = (this.#plan?.roots ?? []).map(({ path, policy }) => ({
      path: Buffer.from(path, 'latin1').toString('utf8'),
      policy,
    }));
    return {
      verdict: this.#verdict,
      ...this.#text,
      workers: [...this.#workers],
      withheldEnv: (this.#plan?.withheld ?? []).map(({ name }) => name),
      roots,
      notes: [...(this.#plan?.notes ?? []), ...this.#remarks],
    };
  }
}
