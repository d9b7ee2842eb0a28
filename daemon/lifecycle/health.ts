/**
 * How a worker is to us: healthy, degraded, unreachable, draining or disabled. It follows from three things, each with
 * transitions of its own: what its user wants (Mandate), what its link says (WorkerState), and what is wrong there
 * though it answers (Trouble).
 *
 * | user wants \ link  | none     | on its way  | away        | there                | leaving  |
 * | ------------------ | -------- | ----------- | ----------- | -------------------- | -------- |
 * | enabled            | disabled | unreachable | unreachable | healthy, or degraded | draining |
 * | draining           | disabled | draining    | draining    | draining             | draining |
 * | disabled           | disabled | disabled    | disabled    | draining             | draining |
 *
 * Every state is left again: by what the user wants next, or by what the link and the agent say, which needs no command
 * to be sent there.
 */
import { CLOCK_PATIENCE } from '../../src/base/clock.ts';
import { LEAST_DISK } from '../../src/facts/machine.ts';
import { breakerRefusal, type Breaker } from './breaker.ts';
import type { WorkerState } from './worker.ts';

/** What the user asked for by `rch workers enable|drain|disable`. */
export const mandates = ['enabled', 'draining', 'disabled'] as const;
export type Mandate = (typeof mandates)[number];

export type Trouble = {
  readonly kind: 'silent' | 'sandbox' | 'disk' | 'clock' | 'breaker' | 'load' | 'toolchain';
  readonly reason: string;
  /** What the user can do; empty when nothing. */
  readonly next: string;
  /** What its score is multiplied by: 0, no command is sent there; 1, it is shown alone. */
  readonly weight: number;
};

export type Health =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'degraded'; readonly troubles: readonly [Trouble, ...Trouble[]] }
  | {
      readonly kind: 'unreachable' | 'draining' | 'disabled';
      readonly reason: string;
      readonly next: string;
    };
export type HealthKind = Health['kind'];

export type HealthView = {
  readonly id: string;
  readonly mandate: Mandate;
  readonly state: WorkerState;
  readonly breaker: Breaker;
  /** Tools that commands from here need and the worker has not. */
  readonly lacking: readonly string[];
  /** ms of the daemon's monotonic clock. */
  readonly now: number;
};

type Reach = 'none' | 'coming' | 'away' | 'there' | 'leaving';

const table: Readonly<Record<Mandate, Readonly<Record<Reach, HealthKind>>>> = {
  enabled: {
    none: 'disabled',
    coming: 'unreachable',
    away: 'unreachable',
    there: 'healthy',
    leaving: 'draining',
  },
  draining: {
    none: 'disabled',
    coming: 'draining',
    away: 'draining',
    there: 'draining',
    leaving: 'draining',
  },
  disabled: {
    none: 'disabled',
    coming: 'disabled',
    away: 'disabled',
    there: 'draining',
    leaving: 'draining',
  },
};

const reaches: Readonly<Record<WorkerState['kind'], Reach>> = {
  disabled: 'none',
  starting: 'coming',
  connecting: 'coming',
  connected: 'there',
  unreachable: 'away',
  draining: 'leaving',
};

/** Bytes free below which it is said, and the worker comes after others. */
const LITTLE_DISK = 1e9;
/** ms for which a clock that was set is mistrusted (corrections come in series), and for which it is mentioned. */
const CLOCK_UNSETTLED = 30_000;
const CLOCK_MENTIONED = 600_000;
/** ns by which a clock may be ahead without a word; files are stamped right whatever it is. */
const CLOCK_APART = 60_000_000_000n;
/** ns by which a clock may be behind: what was just edited is waited for no longer (src/agent/clock.ts). */
const CLOCK_BEHIND = BigInt(CLOCK_PATIENCE) * 1_000_000n;
/** Part of the cores that others may keep busy. */
const BUSY = 0.5;
/** ms without an answer after which nothing new is sent there. */
const SILENCE = 2000;

const seconds = (ns: bigint): string => `${(Number(ns) / 1e9).toFixed(1)} s`;
const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

type Connected = Extract<WorkerState, { kind: 'connected' }>;

function clockTrouble({ clockSet, clockOffset }: Connected, now: number): Trouble | undefined {
  if (clockOffset < -CLOCK_BEHIND) {
    const reason = `its clock is ${seconds(-clockOffset)} behind ours: what it makes would be older than what was just edited`;
    return {
      kind: 'clock',
      reason,
      next: 'set its clock: sudo timedatectl set-ntp true',
      weight: 0,
    };
  }
  const since = clockSet === undefined ? Infinity : now - clockSet.at;
  if (clockSet !== undefined && since < CLOCK_MENTIONED) {
    const reason = `its clock, or ours, was set by ${seconds(clockSet.step)} ${Math.round(since / 1000)} s ago`;
    const next = 'let one time service keep both clocks';
    return { kind: 'clock', reason, next, weight: since < CLOCK_UNSETTLED ? 0 : 0.5 };
  }
  if (clockOffset < CLOCK_APART) return undefined;
  const reason = `its clock is ${seconds(clockOffset)} ahead of ours`;
  return { kind: 'clock', reason, next: 'set it', weight: 1 };
}

function diskTrouble({ freeBytes }: Connected, id: string): Trouble | undefined {
  if (freeBytes >= LITTLE_DISK) return undefined;
  const reason = `only ${megabytes(freeBytes)} are free on its disk, by bytes or by inodes`;
  const next = `make room there (df -h, df -i), or: rch gc --worker ${id} --to-mb 0`;
  return { kind: 'disk', reason, next, weight: freeBytes < LEAST_DISK ? 0 : 0.5 };
}

function loadTrouble({ load, facts }: Connected): Trouble | undefined {
  if (load < facts.cores * BUSY) return undefined;
  const reason = `others keep ${load} of its ${facts.cores} cores busy`;
  return { kind: 'load', reason, next: '', weight: 0.5 };
}

function sandboxTrouble({ facts: { sandbox } }: Connected, id: string): Trouble | undefined {
  switch (sandbox.method) {
    case 'namespaces':
    case 'bubblewrap':
      return undefined;
    case 'folder': {
      const reason =
        'without namespaces and bubblewrap it takes only compiler calls whose outputs are known';
      return { kind: 'sandbox', reason, next: `rch workers setup ${id}`, weight: 1 };
    }
    case 'none': {
      const reason = 'it cannot run a command at the paths it has here';
      return { kind: 'sandbox', reason, next: sandbox.mend, weight: 0 };
    }
  }
}

/** What is wrong with a worker that answers; the gravest first. */
function troublesOf(state: Connected, view: HealthView): Trouble[] {
  const { id, breaker, lacking, now } = view;
  const resting = breakerRefusal(breaker, now);
  const found: (Trouble | undefined)[] = [
    state.silentMs < SILENCE
      ? undefined
      : {
          kind: 'silent',
          reason: `it has not answered for ${Math.round(state.silentMs / 1000)} s`,
          next: '',
          weight: 0,
        },
    sandboxTrouble(state, id),
    resting === undefined ? undefined : { kind: 'breaker', reason: resting, next: '', weight: 0 },
    diskTrouble(state, id),
    clockTrouble(state, now),
    loadTrouble(state),
    lacking.length === 0
      ? undefined
      : {
          kind: 'toolchain',
          reason: `commands here need what it has not: ${lacking.join(', ')}`,
          next: `rch workers probe ${id}`,
          weight: 1,
        },
  ];
  return found.filter((each) => each !== undefined).sort((a, b) => a.weight - b.weight);
}

function awayReason({ id, mandate, state }: HealthView): { reason: string; next: string } {
  if (mandate !== 'enabled') {
    const order = mandate === 'disabled' ? 'disable' : 'drain';
    return { reason: `rch workers ${order}`, next: `rch workers enable ${id}` };
  }
  switch (state.kind) {
    case 'disabled':
      return { reason: 'enabled = false', next: '' };
    case 'starting':
      return { reason: 'its link is starting', next: '' };
    case 'connecting':
      return { reason: state.reason === '' ? 'it is connecting' : state.reason, next: '' };
    case 'draining':
      return { reason: state.reason, next: '' };
    case 'unreachable':
      return { reason: state.reason, next: state.next };
    case 'connected':
      return { reason: '', next: '' };
  }
}

export function healthOf(view: HealthView): Health {
  const kind = table[view.mandate][reaches[view.state.kind]];
  if (kind !== 'healthy' && kind !== 'degraded') return { kind, ...awayReason(view) };
  const [first, ...rest] = view.state.kind === 'connected' ? troublesOf(view.state, view) : [];
  return first === undefined
    ? { kind: 'healthy' }
    : { kind: 'degraded', troubles: [first, ...rest] };
}

/** The trouble for which no command is sent to a worker that answers. */
export function graveTrouble(health: Health): Trouble | undefined {
  return health.kind === 'degraded'
    ? health.troubles.find(({ weight }) => weight === 0)
    : undefined;
}

/** What the score of a worker that answers is multiplied by. */
export function healthWeight(health: Health): number {
  if (health.kind !== 'degraded') return 1;
  return health.troubles.reduce((weight, trouble) => weight * trouble.weight, 1);
}
