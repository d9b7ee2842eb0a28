/** Everything a launcher is told about its job: progress, notices, the start and the end. */
import { constants } from 'node:os';
import type { JobOutcome, LastingPlan, Phases } from '../../src/protocol/ipc.ts';
import { EndKind, type ShimMessage } from '../../src/protocol/shim.ts';
import type { Caller } from './caller.ts';
import { Notices } from './notices.ts';

/** What a cancelled command seems to have died of, signal(7). */
const SIGINT = constants.signals.SIGINT;

/** What the line at the end is made of; `conflicts` absolute, latin1. */
export type EndFacts = {
  readonly conflicts: readonly string[];
  readonly phases: Phases;
  /** Hooks that did not end well. */
  readonly hooks?: readonly string[];
};

export class Talk {
  readonly #plan: LastingPlan;
  readonly #worker: string;
  readonly #resumeSec: number;
  readonly #caller: Caller;
  readonly #notices: Notices;

  /** `patienceMs`: how long the launcher is to look for its job when the way to it is lost. */
  constructor(
    plan: LastingPlan,
    { worker, patienceMs }: { readonly worker: string; readonly patienceMs: number },
    caller: Caller,
  ) {
    this.#plan = plan;
    this.#worker = worker;
    this.#resumeSec = Math.ceil(patienceMs / 1000);
    this.#caller = caller;
    this.#notices = new Notices(plan, (text, always) => {
      caller.send({ type: 'notice', text, always });
    });
  }

  /** A word for RCH_VERBOSE. */
  step(text: string): void {
    this.#notices.step(text);
  }

  phase(text: string): void {
    this.#notices.progress.begin(text);
    this.#notices.step(text);
  }

  readonly progress = (done: number, total: number): void => {
    this.#notices.progress.update(done, total);
  };

  /** A phase without a word of its own in RCH_VERBOSE. */
  begin(text: string): void {
    this.#notices.progress.begin(text);
  }

  endPhase(): void {
    this.#notices.progress.end();
  }

  /** The worker is about to be told. */
  starting(): void {
    this.#caller.send({ type: 'starting', resumeSec: this.#resumeSec });
  }

  started(): void {
    this.#notices.step(`running on ${this.#worker}`);
    this.#caller.send({ type: 'started' });
  }

  /** `program`: what the launcher is to become, for `execHere`. */
  end(outcome: JobOutcome, facts: EndFacts, program: ShimMessage | undefined): void {
    switch (outcome.kind) {
      case 'execHere':
        if (program === undefined) return;
        this.#lastLines(facts);
        this.#caller.finish(program);
        return;
      case 'exited':
        this.#lastLines(facts);
        this.#caller.finish({ type: 'exit', kind: EndKind.exited, value: outcome.code });
        return;
      case 'signaled':
        this.#lastLines(facts);
        this.#caller.finish({ type: 'exit', kind: EndKind.signaled, value: outcome.signal });
        return;
      case 'cancelled':
        if (outcome.signal === undefined) this.#notices.cancelled();
        this.#caller.finish({
          type: 'exit',
          kind: EndKind.signaled,
          value: outcome.signal ?? SIGINT,
        });
        return;
      case 'local':
        this.#notices.progress.end();
        this.#notices.step(`not there: ${outcome.reason}`);
        // Also where it can only run here: the front has it wait for its turn.
        this.#caller.finish({ type: 'again' });
        return;
      case 'lost':
      case 'timedOut':
      case 'abandoned':
        this.#notices.progress.end();
        this.#caller.finish({
          type: 'lost',
          text: lostText(this.#worker, this.#plan.job, outcome),
        });
        return;
    }
  }

  /** The run is lost, whatever it came to. */
  lost(outcome: JobOutcome): void {
    const known = outcome.kind === 'lost' || outcome.kind === 'timedOut';
    this.end(known ? outcome : { kind: 'abandoned' }, { conflicts: [], phases: {} }, undefined);
  }

  #lastLines({ conflicts, phases, hooks = [] }: EndFacts): void {
    for (const trouble of hooks) this.#notices.hook(trouble);
    for (const path of conflicts) this.#notices.kept(Buffer.from(path, 'latin1').toString('utf8'));
    this.#notices.end(this.#worker, phases);
  }
}

/** Why a run ended with 102, and how to get at results that could not be returned. */
export function lostText(worker: string, job: string, outcome: JobOutcome): string {
  if (outcome.kind === 'timedOut') return `the command on ${worker} was ended: ${outcome.reason}`;
  const { reason, kept } =
    outcome.kind === 'lost' ? outcome : { reason: 'it was given up', kept: false };
  const text = `the run on ${worker} was lost: ${reason}`;
  if (!kept) return text;
  return `${text}; its results stay on ${worker}: rch jobs fetch ${job.slice(0, 8)}`;
}

/** For a launcher whose job is not here: a link before this one wrote down every job before it told the worker. */
export function unknownJob(of: {
  readonly worker: string;
  readonly job: string;
  readonly asked: 'commit' | 'resume' | 'rejoin';
  /** How it ended, when its results are kept. */
  readonly kept: JobOutcome | undefined;
}): ShimMessage {
  const { worker, job, asked, kept } = of;
  if (kept !== undefined) return { type: 'lost', text: lostText(worker, job, kept) };
  if (asked !== 'resume') return { type: 'again' };
  return { type: 'lost', text: `the run on ${worker} was lost: nothing is known of it any more` };
}
