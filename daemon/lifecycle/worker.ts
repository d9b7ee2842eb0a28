/**
 * What a worker is to this daemon, and how that changes.
 * ```
 *            fork            listening          connected
 * disabled ───────▶ starting ─────────▶ connecting ─────────▶ connected
 *                      ▲                   ▲  │ ▲                │
 *                 fork │        connecting │  ▼ │ connecting     │ disconnected, died
 *                      └───────────────── unreachable ◀──────────┘
 * any ── drain ──▶ draining ── fork ──▶ starting          any ── disable ──▶ disabled
 * ```
 */
import type { AgentFacts } from '../../src/protocol/facts.ts';

/** `own`: those of `used` that jobs of this daemon hold. */
export type Slots = { readonly total: number; readonly used: number; readonly own: number };

/** Bytes of a part of the agent on their way; `rate` in bytes a second. */
export type Upload = {
  readonly part: 'agent' | 'node';
  readonly bytes: number;
  readonly total: number;
  readonly rate: number;
};

/** `since` and the like are ms of the daemon's monotonic clock. */
export type WorkerState =
  | { readonly kind: 'disabled'; readonly since: number }
  /** Its link process was forked and does not listen yet. */
  | { readonly kind: 'starting'; readonly since: number }
  /** `attempt` counts from 1; `reason`: why the one before failed, empty at the first. */
  | {
      readonly kind: 'connecting';
      readonly since: number;
      readonly attempt: number;
      readonly reason: string;
      readonly lost?: number | undefined;
      /** What of the agent is being brought there. */
      readonly upload?: Upload;
    }
  | {
      readonly kind: 'connected';
      readonly since: number;
      readonly facts: AgentFacts;
      readonly factsAt: number;
      readonly slots: Slots;
      /** Bytes free where the agent's folder is. */
      readonly freeBytes: number;
      /** Worker's clock minus ours, ns. */
      readonly clockOffset: bigint;
      /** ms */
      readonly roundTrip: number;
      /** Cores that others keep busy there. */
      readonly load: number;
      /** When one of the clocks was set last, and by how many ns. */
      readonly clockSet: { readonly at: number; readonly step: bigint } | undefined;
      /** ms without an answer on a connection that stands. */
      readonly silentMs: number;
    }
  | {
      readonly kind: 'unreachable';
      readonly since: number;
      readonly reason: string;
      /** When a connection that stood was lost; undefined where none did since the link was made. */
      readonly lost?: number | undefined;
      /** What the user can do; empty when we do not know. */
      readonly next: string;
    }
  /** Takes no more jobs: its link is ending what runs. */
  | { readonly kind: 'draining'; readonly since: number; readonly reason: string };

export type WorkerEvent =
  | { readonly type: 'forked' }
  | { readonly type: 'listening' }
  | { readonly type: 'connecting'; readonly attempt: number }
  | { readonly type: 'uploading'; readonly upload: Upload }
  | {
      readonly type: 'connected';
      readonly facts: AgentFacts;
      readonly clockOffset: bigint;
      readonly roundTrip: number;
    }
  | { readonly type: 'disconnected'; readonly reason: string; readonly next: string }
  | { readonly type: 'slots'; readonly slots: Slots; readonly freeBytes: number }
  | { readonly type: 'probed'; readonly facts: AgentFacts }
  | { readonly type: 'vitals'; readonly load: number }
  | { readonly type: 'clock'; readonly offset: bigint; readonly step: bigint }
  | { readonly type: 'silent'; readonly ms: number }
  /** The link process ended without being told to. */
  | { readonly type: 'died'; readonly reason: string }
  | { readonly type: 'drain'; readonly reason: string }
  | { readonly type: 'disable' };

function lastReason(state: WorkerState): string {
  switch (state.kind) {
    case 'connecting':
    case 'unreachable':
      return state.reason;
    case 'disabled':
    case 'starting':
    case 'connected':
    case 'draining':
      return '';
  }
}

/** When the connection was lost that the next attempt is to bring back. */
function lostAt(state: WorkerState, now: number): number | undefined {
  if (state.kind === 'connected') return now;
  return state.kind === 'connecting' || state.kind === 'unreachable' ? state.lost : undefined;
}

function unreachable(
  before: WorkerState,
  { reason, next }: { readonly reason: string; readonly next: string },
  now: number,
): WorkerState {
  return { kind: 'unreachable', since: now, reason, next, lost: lostAt(before, now) };
}

function slotsOf(facts: AgentFacts): Slots {
  return { total: facts.totalSlots, used: facts.usedSlots, own: facts.ownSlots };
}

/** Slots in use: what others hold there, and what we sent there, whether its agent has counted it by now or not. */
export function usedSlots(slots: Slots, sent: number): number {
  return Math.max(0, slots.used - slots.own) + Math.max(slots.own, sent);
}

function withFacts(state: WorkerState, facts: AgentFacts, now: number): WorkerState {
  if (state.kind !== 'connected') return state;
  return { ...state, facts, factsAt: now, slots: slotsOf(facts), freeBytes: facts.diskFree };
}

/** Of a connected worker whose clock, or ours, was set or moved. */
function clockAfter(
  { clockSet }: Pick<Extract<WorkerState, { kind: 'connected' }>, 'clockSet'>,
  { offset, step }: Extract<WorkerEvent, { type: 'clock' }>,
  now: number,
): Pick<Extract<WorkerState, { kind: 'connected' }>, 'clockOffset' | 'clockSet'> {
  return { clockOffset: offset, clockSet: step === 0n ? clockSet : { at: now, step } };
}

/** The state after `event`; one that makes no sense in a state leaves it as it is. */
export function transition(state: WorkerState, event: WorkerEvent, now: number): WorkerState {
  if (event.type === 'disable') return { kind: 'disabled', since: now };
  if (event.type === 'forked') return { kind: 'starting', since: now };
  // A link that is ending, or was never wanted, has nothing more to say about the worker.
  if (state.kind === 'draining' || state.kind === 'disabled') return state;
  switch (event.type) {
    case 'drain':
      return { kind: 'draining', since: now, reason: event.reason };
    case 'listening':
      return state.kind === 'starting'
        ? { kind: 'connecting', since: now, attempt: 1, reason: '' }
        : state;
    case 'connecting':
      return {
        kind: 'connecting',
        since: now,
        attempt: event.attempt,
        reason: lastReason(state),
        lost: lostAt(state, now),
      };
    case 'uploading':
      return state.kind === 'connecting' ? { ...state, upload: event.upload } : state;
    case 'connected':
      return {
        kind: 'connected',
        since: now,
        facts: event.facts,
        factsAt: now,
        slots: slotsOf(event.facts),
        freeBytes: event.facts.diskFree,
        clockOffset: event.clockOffset,
        roundTrip: event.roundTrip,
        load: 0,
        clockSet: undefined,
        silentMs: 0,
      };
    case 'disconnected':
      return unreachable(state, event, now);
    case 'died':
      return unreachable(state, { reason: event.reason, next: '' }, now);
    case 'slots':
      return state.kind === 'connected'
        ? {
            ...state,
            slots: { total: event.slots.total, used: event.slots.used, own: event.slots.own },
            freeBytes: event.freeBytes,
          }
        : state;
    case 'vitals':
      return state.kind === 'connected' ? { ...state, load: event.load } : state;
    case 'clock':
      return state.kind === 'connected' ? { ...state, ...clockAfter(state, event, now) } : state;
    case 'silent':
      return state.kind === 'connected' ? { ...state, silentMs: event.ms } : state;
    case 'probed':
      return withFacts(state, event.facts, now);
  }
}
