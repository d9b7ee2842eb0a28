/**
 * The life of one job on its link, from the plan to its end.
 * ```
 *  planned ─commit─▶ preparing ─prepared─▶ starting ─started─▶ running ─ended─▶ returning ─returned─▶ over
 *     │                  │                     │                  │                 │
 *     └─────────── refused: the shim runs it here ──┘             └── lost: exit 102 ┘
 * ```
 * A launcher that goes away ends the job wherever it is. After `started` nothing leads back to "here"; a link that
 * lost its agent while `starting` asks it after the reconnect, and only a clear "never seen" is a refusal.
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
  | { readonly at: 'starting' }
  | { readonly at: 'running' }
  | { readonly at: 'returning'; readonly end: End }
  | { readonly at: 'over'; readonly outcome: JobOutcome };

export type JobEvent =
  | { readonly type: 'commit' }
  | { readonly type: 'prepared' }
  /** Nothing was started there: the command runs here. */
  | { readonly type: 'refused'; readonly reason: string; readonly learn: boolean }
  | { readonly type: 'started' }
  | { readonly type: 'ended'; readonly end: End }
  | { readonly type: 'returned' }
  | { readonly type: 'launcherGone' }
  | { readonly type: 'lost'; readonly reason: string };

/** What the job must do on a transition, in this order. */
export type JobEffect =
  | 'prepare'
  | 'run'
  | 'sayStarted'
  | 'return'
  | 'sayEnd'
  | 'sayLocal'
  | 'sayLost'
  | 'killThere'
  | 'report';

export type Transition = { readonly state: JobState; readonly effects: readonly JobEffect[] };

function stay(state: JobState): Transition {
  return { state, effects: [] };
}

function over(outcome: JobOutcome, ...effects: JobEffect[]): Transition {
  return { state: { at: 'over', outcome }, effects: [...effects, 'report'] };
}

/** Whether the tool may be running there, so that it has to be ended when its launcher goes. */
function mayRun(state: JobState): boolean {
  return state.at === 'starting' || state.at === 'running' || state.at === 'returning';
}

/** The one rule of a job's life; an event that does not fit its state changes nothing. */
export function transition(state: JobState, event: JobEvent): Transition {
  if (state.at === 'over') return stay(state);
  switch (event.type) {
    case 'commit':
      return state.at === 'planned'
        ? { state: { at: 'preparing' }, effects: ['prepare'] }
        : stay(state);
    case 'prepared':
      return state.at === 'preparing'
        ? { state: { at: 'starting' }, effects: ['run'] }
        : stay(state);
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
    case 'refused':
      if (state.at === 'running' || state.at === 'returning')
        return over({ kind: 'lost', reason: event.reason }, 'sayLost', 'killThere');
      return over({ kind: 'local', reason: event.reason, learn: event.learn }, 'sayLocal');
    case 'launcherGone':
      return mayRun(state) ? over({ kind: 'abandoned' }, 'killThere') : over({ kind: 'abandoned' });
    case 'lost':
      // `starting`: nobody knows whether the tool ran, so it must not run here as well.
      return mayRun(state)
        ? over({ kind: 'lost', reason: event.reason }, 'sayLost', 'killThere')
        : over({ kind: 'local', reason: event.reason, learn: false }, 'sayLocal');
    default:
      return never(event);
  }
}
