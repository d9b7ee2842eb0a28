/**
 * The life of a job on the agent.
 * ```
 *  waiting ─admitted─▶ starting ─started─▶ running ─exited─▶ collecting ─collected─▶ ended ─finished─▶ over
 *     │                   │                  │                   │                     │
 *     │                   └─ failed ─▶ over  └── kill ──┐        └─ kill ─┐            └─ kill ─▶ over
 *     └─ kill ─▶ over                                   ▼                 ▼
 *                                          ending ─exited─▶ over     (ending, until the scan is done)
 * ```
 * `over` leads nowhere; what it leaves of the trees is said by its `outcome`.
 */
import { nowNs } from '../base/clock.ts';
import { never } from '../base/result.ts';
import type { EndKind } from '../protocol/shim.ts';

/** How the tool ended; `till` on the machine's clock, ns. */
export type ToolEnd = {
  readonly kind: EndKind;
  readonly value: number;
  readonly till: bigint;
  /** µs, µs, KiB. */
  readonly userTime: bigint;
  readonly systemTime: bigint;
  readonly maxRss: bigint;
};

/** The end of a tool that nobody waited for. */
export function endNow(kind: EndKind, value: number): ToolEnd {
  return { kind, value, till: nowNs(), userTime: 0n, systemTime: 0n, maxRss: 0n };
}

export type JobState =
  /** For its turn at a tree. */
  | { readonly at: 'waiting' }
  | { readonly at: 'starting' }
  | { readonly at: 'running'; readonly from: bigint }
  /** The trees are scanned for what the tool changed. */
  | { readonly at: 'collecting'; readonly from: bigint; readonly end: ToolEnd }
  /** The result waits to be fetched and settled. */
  | { readonly at: 'ended'; readonly from: bigint; readonly end: ToolEnd }
  /** Killed; its processes, or the scan, are on their way out. */
  | { readonly at: 'ending' }
  /** `untouched`: the trees are as the sync left them. `settled`: as the link was told. */
  | { readonly at: 'over'; readonly outcome: 'untouched' | 'settled' | 'dropped' };

export type JobEvent =
  | { readonly type: 'admitted' }
  | { readonly type: 'started'; readonly from: bigint }
  /** It never ran. */
  | { readonly type: 'failed' }
  /** Without `end`, `rch-run` itself was lost. */
  | { readonly type: 'exited'; readonly end: ToolEnd | undefined }
  | { readonly type: 'collected' }
  | { readonly type: 'finished' }
  | { readonly type: 'kill' };

const dropped: JobState = { at: 'over', outcome: 'dropped' };
const untouched: JobState = { at: 'over', outcome: 'untouched' };

function killed(state: JobState): JobState {
  switch (state.at) {
    case 'waiting':
      return untouched;
    case 'starting':
    case 'running':
    case 'collecting':
    case 'ending':
      return { at: 'ending' };
    case 'ended':
      return dropped;
    case 'over':
      return state;
    default:
      return never(state);
  }
}

function exited(state: JobState, end: ToolEnd | undefined): JobState {
  if (state.at === 'ending') return dropped;
  if (state.at !== 'running') return state;
  return end === undefined ? dropped : { at: 'collecting', from: state.from, end };
}

/** The one rule of a job's life; an event that does not fit its state changes nothing. */
export function transition(state: JobState, event: JobEvent): JobState {
  switch (event.type) {
    case 'admitted':
      return state.at === 'waiting' ? { at: 'starting' } : state;
    case 'started':
      return state.at === 'starting' ? { at: 'running', from: event.from } : state;
    case 'failed':
      if (state.at === 'waiting' || state.at === 'starting') return untouched;
      return state.at === 'ending' ? dropped : state;
    case 'exited':
      return exited(state, event.end);
    case 'collected':
      if (state.at === 'ending') return dropped;
      return state.at === 'collecting' ? { ...state, at: 'ended' } : state;
    case 'finished':
      return state.at === 'ended' ? { at: 'over', outcome: 'settled' } : state;
    case 'kill':
      return killed(state);
    default:
      return never(event);
  }
}
