/**
 * The life of one job on its link, from the plan to its end.
 * ```
 *  planned ─commit─▶ preparing ─prepared─▶ announcing ─bound─▶ starting ─started─▶ running ─ended─▶ returning ─returned─▶ over
 *     │                  │                      │               │    ▲               │  ▲              │
 *     │                  │                      │           local    └─── resumed ───│──┘              │
 *     └─ refused: here, or elsewhere ───────────┴───────────────┘          │         │                 │
 *                                                                      recovering    └── lost: 102 ────┘
 * ```
 * One that shares the run of another job stays `preparing` until that is over, and then is over by `shared`.
 *
 * A launcher that hears nothing for long goes on by itself, also after a stop of the whole machine: so the worker is told
 * only once the launcher has said that it waits.
 *
 * A job that a link before this one was told to run begins as `recovering`: nothing is known of it until its launcher
 * is back, says whether it saw the start, and the agent was asked. After `started` nothing leads back to "here"; a link
 * that lost its agent while `starting` asks it after the reconnect, and only a clear "never seen" is a refusal.
 *
 * A launcher that goes away ends the job wherever it is; one that is alive, and merely not connected, is waited for
 * (that is for job.ts to find out). Results that cannot be brought back stay on the worker.
 */
import { never } from '../../src/base/result.ts';
import type { JobOutcome } from '../../src/protocol/ipc.ts';

export type End =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: number }
  | { readonly kind: 'execHere' };

export type JobState =
  | { readonly at: 'planned' }
  | { readonly at: 'preparing' }
  | { readonly at: 'announcing' }
  | { readonly at: 'starting' }
  | { readonly at: 'running' }
  | { readonly at: 'returning'; readonly end: End }
  | { readonly at: 'recovering' }
  | { readonly at: 'over'; readonly outcome: JobOutcome };

export type JobEvent =
  | { readonly type: 'commit' }
  | { readonly type: 'prepared' }
  /** The launcher does nothing by itself any more. */
  | { readonly type: 'bound' }
  /** The run of another job serves this one: that has ended, and all it made is in place. */
  | { readonly type: 'shared'; readonly end: End }
  /** The launcher of a job is on a new connection; `started`: it was told of the start. */
  | { readonly type: 'resumed'; readonly started: boolean }
  /** Nothing was started there: another worker is tried where that may help (`again`), else the command runs here. */
  | {
      readonly type: 'refused';
      readonly reason: string;
      readonly learn: boolean;
      readonly again: boolean;
      /** Whether it speaks against the worker. */
      readonly fault: boolean;
    }
  | { readonly type: 'started' }
  | { readonly type: 'ended'; readonly end: End }
  | { readonly type: 'returned' }
  /** The tool has ended; what it made cannot be brought here now. `kept`: it stays on the worker. */
  | { readonly type: 'returnFailed'; readonly reason: string; readonly kept: boolean }
  | { readonly type: 'launcherGone' }
  /**
   * By `rch cancel`; a tool that runs was interrupted before, and did not end by that. Or its launcher got a `signal`, and
   * the worker does not take it. Never before the commit.
   */
  | { readonly type: 'cancelled'; readonly signal?: number | undefined }
  | { readonly type: 'lost'; readonly reason: string }
  /** The command ran for as long as the user lets it. */
  | { readonly type: 'timeout'; readonly reason: string };

/** What the job must do on a transition, in this order. */
export type JobEffect =
  | 'prepare'
  /** Tells the launcher that a later link may have the job. */
  | 'announce'
  | 'run'
  /** Asks the agent to go on from what the launcher has. */
  | 'attach'
  | 'sayStarted'
  | 'return'
  /** Waits no more for a worker that is away: the results stay there. */
  | 'hurry'
  /** Tells the launcher all that another job's tool wrote, and its end. */
  | 'replay'
  | 'sayEnd'
  | 'sayLocal'
  | 'sayLost'
  | 'killThere'
  /** Tells the front; before the launcher hears, so that whoever asks after it ended finds the end recorded. */
  | 'report';

export type Transition = { readonly state: JobState; readonly effects: readonly JobEffect[] };

function stay(state: JobState): Transition {
  return { state, effects: [] };
}

function over(outcome: JobOutcome, ...effects: JobEffect[]): Transition {
  return { state: { at: 'over', outcome }, effects: ['report', ...effects] };
}

/** Whether the tool may be running there, so that it has to be ended when its launcher goes. */
export function mayRun(state: JobState): boolean {
  return (
    state.at === 'starting' ||
    state.at === 'running' ||
    state.at === 'returning' ||
    state.at === 'recovering'
  );
}

function resumed(state: JobState, started: boolean): Transition {
  switch (state.at) {
    case 'recovering':
      return { state: { at: started ? 'running' : 'starting' }, effects: ['attach'] };
    case 'starting':
      // It was told, and this link's own word of it came later than its going.
      return { state: started ? { at: 'running' } : state, effects: ['attach'] };
    case 'running':
      return { state, effects: started ? ['attach'] : ['sayStarted', 'attach'] };
    case 'returning':
      return { state, effects: started ? ['attach'] : ['sayStarted', 'attach'] };
    case 'over':
      if (state.outcome.kind === 'cancelled')
        return { state, effects: started ? ['sayEnd'] : ['sayStarted', 'sayEnd'] };
      // What it was told when its tool never began was lost with its connection.
      if (state.outcome.kind === 'local' && !started) return { state, effects: ['sayLocal'] };
      return { state, effects: [repeats(state.outcome) ? 'attach' : 'sayLost'] };
    case 'announcing':
      // Its word of it, or ours to it, was lost with its connection.
      return { state, effects: ['announce'] };
    case 'planned':
    case 'preparing':
      return stay(state);
    default:
      return never(state);
  }
}

/** Whether the end is one that the agent can tell again, after the output before it. */
function repeats(outcome: JobOutcome): boolean {
  return outcome.kind === 'exited' || outcome.kind === 'signaled' || outcome.kind === 'execHere';
}

/** Over, but its launcher did not get the end: it asks again. */
function afterwards(state: JobState & { at: 'over' }, event: JobEvent): Transition {
  if (event.type === 'resumed') return resumed(state, event.started);
  if (!repeats(state.outcome)) return stay(state);
  if (event.type === 'ended') return { state, effects: ['sayEnd'] };
  if (event.type === 'lost' || event.type === 'refused') return { state, effects: ['sayLost'] };
  return stay(state);
}

/** The one rule of a job's life; an event that does not fit its state changes nothing. */
export function transition(state: JobState, event: JobEvent): Transition {
  if (state.at === 'over') return afterwards(state, event);
  switch (event.type) {
    case 'commit':
      return state.at === 'planned'
        ? { state: { at: 'preparing' }, effects: ['prepare'] }
        : stay(state);
    case 'prepared':
      return state.at === 'preparing'
        ? { state: { at: 'announcing' }, effects: ['announce'] }
        : stay(state);
    case 'bound':
      return state.at === 'announcing'
        ? { state: { at: 'starting' }, effects: ['run'] }
        : stay(state);
    case 'shared':
      return state.at === 'preparing' ? over(event.end, 'replay') : stay(state);
    case 'resumed':
      return resumed(state, event.started);
    case 'started':
      return state.at === 'starting'
        ? { state: { at: 'running' }, effects: ['sayStarted'] }
        : stay(state);
    case 'ended':
      // A very short tool may have ended before its start was seen.
      if (state.at === 'starting')
        return {
          state: { at: 'returning', end: event.end },
          effects: ['sayStarted', 'return'],
        };
      return state.at === 'running'
        ? { state: { at: 'returning', end: event.end }, effects: ['return'] }
        : stay(state);
    case 'returned':
      return state.at === 'returning' ? over(state.end, 'sayEnd') : stay(state);
    case 'returnFailed':
      if (state.at !== 'returning') return stay(state);
      return event.kept
        ? over({ kind: 'lost', reason: event.reason, kept: true }, 'sayLost')
        : lost(event.reason);
    case 'refused':
      if (mayRun(state) && state.at !== 'starting') return lost(event.reason);
      return refused(event);
    case 'cancelled':
      return cancelled(state, event.signal);
    case 'launcherGone':
      return mayRun(state) ? over({ kind: 'abandoned' }, 'killThere') : over({ kind: 'abandoned' });
    case 'lost':
      // `starting`: nobody knows whether the tool ran, so it must not run here as well.
      return mayRun(state)
        ? lost(event.reason)
        : refused({ reason: event.reason, learn: false, again: false, fault: true });
    case 'timeout':
      return state.at === 'running'
        ? over({ kind: 'timedOut', reason: event.reason }, 'killThere', 'sayLost')
        : stay(state);
    default:
      return never(event);
  }
}

/** Before its tool runs a launcher hears of the start first: until then an end would mean nothing to it. */
function cancelled(state: JobState, signal: number | undefined): Transition {
  const outcome = { kind: 'cancelled', signal } as const;
  switch (state.at) {
    case 'preparing':
    case 'announcing':
      return over(outcome, 'sayStarted', 'sayEnd');
    case 'starting':
      return over(outcome, 'killThere', 'sayStarted', 'sayEnd');
    case 'recovering':
      // Its launcher is not here, and hears of it when it comes back.
      return over(outcome, 'killThere');
    case 'running':
      return over(outcome, 'killThere', 'sayEnd');
    case 'returning':
      return { state, effects: ['hurry'] };
    case 'planned':
    case 'over':
      return stay(state);
    default:
      return never(state);
  }
}

function refused(why: Omit<Extract<JobEvent, { type: 'refused' }>, 'type'>): Transition {
  const { reason, learn, again, fault } = why;
  return over({ kind: 'local', reason, learn, again, fault }, 'sayLocal');
}

function lost(reason: string): Transition {
  return over({ kind: 'lost', reason, kept: false }, 'killThere', 'sayLost');
}
