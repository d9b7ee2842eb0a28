/** Chooses the worker of a command from what is known of each. No I/O. */
import type { AgentFacts, MachineFacts } from '../../src/protocol/facts.ts';
import type { WorkerVerdict } from '../../src/protocol/methods.ts';
import { graveTrouble, healthWeight, type Health } from '../lifecycle/health.ts';
import { usedSlots, type WorkerState } from '../lifecycle/worker.ts';
import { askedOf, eligible } from './eligible.ts';
import type { Requirement } from './requirement.ts';
import { lostBy, scoreOf, termsOf, type Prospect, type Scale, type Weights } from './score.ts';

export type Contender = {
  readonly id: string;
  readonly priority: number;
  readonly state: WorkerState;
  readonly health: Health;
  /** ms since a connection was lost that may be back at any moment; undefined where none was. */
  readonly lostMs?: number | undefined;
  /** Slots of jobs that were sent there and have not ended. */
  readonly ownSlots: number;
  /** Names of tools and paths that its facts are known to cover: a tool not in `facts.tools` but here is missing there. */
  readonly probed: ReadonlySet<string>;
  /** Score of its benchmark; undefined before the first. */
  readonly speed: number | undefined;
  readonly prospect: Prospect;
  /** It runs this very command already, for another caller: whoever waits for that takes no slot. */
  readonly joins?: boolean;
};

export type Wish = {
  /** What must be equal; undefined while that is not known. `local`: this machine, tools of the requirements included. */
  readonly match:
    | { readonly requirements: readonly Requirement[]; readonly local: MachineFacts }
    | undefined;
  /** Cores the command would use. */
  readonly slots: number;
  /** Workers that commands before this one in line wait for. */
  readonly taken: ReadonlySet<string>;
  /** ms after its loss for which a connection is waited for; 0 for whoever would rather run here at once. */
  readonly returnMs: number;
  /** RCH_WORKER. */
  readonly worker: string | undefined;
  /** RCH_WORKERS. */
  readonly workers: readonly string[] | undefined;
  /** Workers that turned this very command away, with their reasons. */
  readonly tried: ReadonlyMap<string, string>;
  /** What the user's own configuration allows; undefined: all. */
  readonly allowed: readonly string[] | undefined;
  /** What the project's own configuration says of workers. */
  readonly project: {
    readonly allowed: readonly string[] | undefined;
    readonly blocked: readonly string[];
    readonly preferred: string | undefined;
    readonly minSpeed: number | undefined;
  };
  readonly weights: Weights;
  /** ms it would take here now; undefined without experience. */
  readonly hereMs: number | undefined;
  /** Whether commands may use the network there; true: no matter. */
  readonly network: boolean;
  /** Whether all that it writes is known (a compiler call): nothing else has to be kept from it, or found; true: no matter. */
  readonly outputsKnown: boolean;
};

/** How far a worker came before it was refused: the further, the nearer the miss. */
const Step = { wish: 0, state: 1, health: 2, equality: 3, slots: 4, tried: 5 } as const;
type Step = (typeof Step)[keyof typeof Step];

/** Why a command that should have gone to a worker did not, in a word: for counting. */
export const fallbackCauses = [
  'no_worker',
  'not_wished',
  'unreachable',
  'unhealthy',
  'unfit',
  'busy',
  'turned_away',
  'link_gone',
  'returned',
] as const;
export type FallbackCause = (typeof fallbackCauses)[number];

/** By step. */
const causes = ['not_wished', 'unreachable', 'unhealthy', 'unfit', 'busy', 'turned_away'] as const;

type Refused = { readonly step: Step; readonly reason: string; readonly next: string };

export type Selection =
  | {
      readonly kind: 'chosen';
      readonly worker: string;
      readonly slots: number;
      readonly table: readonly WorkerVerdict[];
    }
  /**
   * `busy`: workers that only lack a free slot; worth waiting for. `pending`: workers that are about to connect.
   * `returningMs`: for so long a connection that was lost just now is worth waiting for; 0 where none was.
   */
  | {
      readonly kind: 'none';
      readonly cause: FallbackCause;
      readonly reason: string;
      readonly next: string;
      readonly busy: boolean;
      /** Those workers, by id. */
      readonly wants: readonly string[];
      readonly pending: boolean;
      readonly returningMs: number;
      readonly table: readonly WorkerVerdict[];
    };

const onlyOf = (ids: readonly string[]): string =>
  ids.length === 0 ? 'none' : `only ${ids.join(', ')}`;

function refusedByWish(contender: Contender, wish: Wish): string | undefined {
  const { id, speed } = contender;
  const { allowed, blocked, minSpeed } = wish.project;
  if (wish.worker !== undefined && wish.worker !== id) return `RCH_WORKER asks for ${wish.worker}`;
  if (wish.workers !== undefined && !wish.workers.includes(id))
    return `RCH_WORKERS asks for ${wish.workers.join(', ')}`;
  if (wish.allowed?.includes(id) === false)
    return `your own configuration (workers.allowed) allows ${onlyOf(wish.allowed)}`;
  if (blocked.includes(id)) return "the project's configuration excludes it";
  if (allowed !== undefined && !allowed.includes(id))
    return `the project's configuration allows ${onlyOf(allowed)}`;
  if (minSpeed !== undefined && speed !== undefined && speed < minSpeed)
    return `its speed is ${speed}, and the project's configuration asks for ${minSpeed}`;
  return undefined;
}

function refusedByState(state: WorkerState): { reason: string; next: string } | undefined {
  switch (state.kind) {
    case 'connected':
      return undefined;
    case 'disabled':
      return { reason: 'it is disabled', next: 'rch workers list' };
    case 'starting':
      return { reason: 'its link is starting', next: '' };
    case 'connecting':
      return {
        reason: state.reason === '' ? 'it is connecting' : `it is unreachable: ${state.reason}`,
        next: '',
      };
    case 'unreachable':
      return { reason: `it is unreachable: ${state.reason}`, next: state.next };
    case 'draining':
      return { reason: state.reason, next: '' };
  }
}

/** One that its user takes out of use while its link stands. */
function refusedByHealth(health: Health): { reason: string; next: string } | undefined {
  if (health.kind !== 'draining' && health.kind !== 'disabled') return undefined;
  const { reason, next } = health;
  return { reason: `it is ${health.kind} (${reason})`, next };
}

/** Real folders at the same paths keep nothing from a command, and nothing of what it does elsewhere is found. */
function refusedByFolder({ sandbox }: AgentFacts, wish: Wish): string | undefined {
  if (sandbox.method !== 'folder') return undefined;
  if (!wish.network) return 'it cannot keep a command off the network (sandbox.network = false)';
  if (!wish.outputsKnown)
    return 'without namespaces and bubblewrap it can only take compiler calls whose outputs are known';
  return undefined;
}

function refusedByFacts(
  facts: AgentFacts,
  probed: ReadonlySet<string>,
  wish: Wish,
): Refused | undefined {
  const beyond = refusedByFolder(facts, wish);
  if (beyond !== undefined)
    return { step: Step.equality, reason: beyond, next: facts.sandbox.mend };
  if (wish.match === undefined) return undefined;
  const { requirements, local } = wish.match;
  const untold = askedOf(requirements).find((name) => !probed.has(name));
  if (untold !== undefined) {
    const what = untold.startsWith('/') ? `whether it has ${untold}` : `which ${untold} it has`;
    const reason = `it has not told ${what}`;
    return { step: Step.equality, reason, next: 'rch workers probe' };
  }
  const unequal = eligible(requirements, local, facts);
  return unequal === undefined
    ? undefined
    : { step: Step.equality, reason: unequal, next: 'rch workers probe' };
}

/**
 * Cores that a job would get: what it wishes for, less when others run there, but not less than half of it
 * (a build on a fraction of its cores is better off elsewhere). 0: not now.
 */
export function grantedSlots(wished: number, total: number, used: number): number {
  const whole = Math.max(1, Math.min(wished, total));
  const free = total - used;
  return free * 2 >= whole ? Math.max(0, Math.min(whole, free)) : 0;
}

/** What rules a worker out whatever tools it has. */
function refusedUnasked(contender: Contender, wish: Wish): Refused | undefined {
  const unwished = refusedByWish(contender, wish);
  if (unwished !== undefined) return { step: Step.wish, reason: unwished, next: '' };
  const tried = wish.tried.get(contender.id);
  if (tried !== undefined)
    return { step: Step.tried, reason: `it turned the command away: ${tried}`, next: '' };
  const { state, health } = contender;
  const absent = refusedByState(state) ?? refusedByHealth(health);
  if (absent !== undefined) return { step: Step.state, ...absent };
  const grave = graveTrouble(health);
  if (grave !== undefined) return { step: Step.health, reason: grave.reason, next: grave.next };
  return undefined;
}

/** Whether it depends on a worker's facts and slots alone that it takes a command: only such a one need be asked. */
export function couldTake(contender: Contender, wish: Wish): boolean {
  return refusedUnasked(contender, wish) === undefined;
}

function judge(contender: Contender, wish: Wish): Refused | { readonly slots: number } {
  const unasked = refusedUnasked(contender, wish);
  if (unasked !== undefined) return unasked;
  const { state } = contender;
  if (state.kind !== 'connected') return { step: Step.state, reason: '', next: '' };
  const unfit = refusedByFacts(state.facts, contender.probed, wish);
  if (unfit !== undefined) return unfit;
  if (contender.joins === true) return { slots: Math.min(wish.slots, state.slots.total) };
  const used = usedSlots(state.slots, contender.ownSlots);
  const slots = grantedSlots(wish.slots, state.slots.total, used);
  if (slots === 0) {
    const reason = `${used} of its ${state.slots.total} slots are taken${shortOf(wish.slots, state.slots.total, used)}`;
    return { step: Step.slots, reason, next: '' };
  }
  if (wish.taken.has(contender.id))
    return { step: Step.slots, reason: 'commands before this one in line wait for it', next: '' };
  return { slots };
}

/** Why what is free is not enough. */
function shortOf(wished: number, total: number, used: number): string {
  const least = Math.ceil(Math.max(1, Math.min(wished, total)) / 2);
  return used < total ? `, and the command needs ${least} at the least` : '';
}

/** A worker that could take it, and how well. */
function scored(contender: Contender, granted: number, wish: Wish, scale: Scale): WorkerVerdict {
  const { id, state, speed, prospect, priority, health } = contender;
  const total = state.kind === 'connected' ? state.slots.total : 0;
  const used = state.kind === 'connected' ? usedSlots(state.slots, contender.ownSlots) : total;
  const slots = { total, free: Math.max(0, total - used), granted };
  const terms = termsOf({ speed, slots, prospect }, scale);
  const preferred = wish.project.preferred === id;
  return {
    worker: id,
    refusal: '',
    score: scoreOf(terms, wish.weights, { priority, preferred, health: healthWeight(health) }),
    terms,
    ...(health.kind === 'degraded'
      ? { degraded: health.troubles.map(({ reason }) => reason).join('; ') }
      : {}),
    ...{ priority, preferred, slots },
  };
}

/** The table of all, with what became of each that could take it. */
function withOutcomes(rows: readonly WorkerVerdict[], best: string, wish: Wish): WorkerVerdict[] {
  const winner = rows.find(({ worker }) => worker === best);
  return rows.map((row) => {
    if (row.refusal !== '' || winner === undefined) return row;
    if (row === winner) return { ...row, outcome: 'chosen' };
    return { ...row, outcome: lostBy(row, winner, wish.weights) };
  });
}

function nearestMiss(
  refused: readonly { readonly id: string; readonly why: Refused }[],
  wish: Wish,
): { cause: FallbackCause; reason: string; next: string } {
  if (wish.worker !== undefined && !refused.some((each) => each.id === wish.worker)) {
    const reason = `RCH_WORKER asks for ${wish.worker}, which is no worker of ours`;
    return { cause: 'not_wished', reason, next: 'rch workers list' };
  }
  const named = wish.workers;
  if (named !== undefined && refused.length > 0 && !refused.some(({ id }) => named.includes(id))) {
    const reason = `RCH_WORKERS asks for ${named.join(', ')}, none of which is a worker of ours`;
    return { cause: 'not_wished', reason, next: 'rch workers list' };
  }
  const nearest = [...refused].sort((a, b) => b.why.step - a.why.step)[0];
  if (nearest === undefined)
    return {
      cause: 'no_worker',
      reason: 'no worker is configured',
      next: 'rch workers add --id ID --host HOST',
    };
  const more = refused.length - 1;
  const others =
    more === 0 ? '' : ` (nor ${more === 1 ? 'the other' : `any of the ${more} others`})`;
  return {
    cause: causes[nearest.why.step],
    reason: `no worker can take it: ${nearest.id}: ${nearest.why.reason}${others}`,
    next: nearest.why.next,
  };
}

/** Picks the best worker, or says of each why not. Of equals, the first wins. */
export function select(contenders: readonly Contender[], wish: Wish): Selection {
  const judged = contenders.map((contender) => ({ contender, verdict: judge(contender, wish) }));
  const speeds = judged.flatMap(({ contender: { speed }, verdict }) =>
    'slots' in verdict && speed !== undefined ? [speed] : [],
  );
  const bestSpeed = speeds.length === 0 ? undefined : Math.max(...speeds);
  const scale: Scale = { bestSpeed, wished: wish.slots, hereMs: wish.hereMs };
  const table = judged.map(({ contender, verdict }) =>
    'slots' in verdict
      ? scored(contender, verdict.slots, wish, scale)
      : { worker: contender.id, refusal: verdict.reason, score: 0 },
  );
  let best: { readonly worker: string; readonly slots: number; readonly score: number } | undefined;
  for (const [index, { verdict }] of judged.entries()) {
    const row = table[index];
    if (row === undefined || !('slots' in verdict)) continue;
    if (best === undefined || row.score > best.score)
      best = { worker: row.worker, slots: verdict.slots, score: row.score };
  }
  if (best !== undefined) {
    const { worker, slots } = best;
    return { kind: 'chosen', worker, slots, table: withOutcomes(table, worker, wish) };
  }
  const refused = judged.flatMap(({ contender, verdict }) =>
    'slots' in verdict ? [] : [{ ...contender, why: verdict }],
  );
  const wants = refused.flatMap(({ id, why }) => (why.step === Step.slots ? [id] : []));
  return {
    kind: 'none',
    ...nearestMiss(refused, wish),
    busy: wants.length > 0,
    wants,
    pending: refused.some((each) => each.why.step === Step.state && aboutToConnect(each.state)),
    returningMs: Math.max(
      0,
      ...refused.map(({ why, lostMs = Infinity }) =>
        why.step === Step.state ? wish.returnMs - lostMs : 0,
      ),
    ),
    table,
  };
}

/** A first attempt is under way: nothing is known against the worker yet. */
function aboutToConnect(state: WorkerState): boolean {
  return state.kind === 'starting' || (state.kind === 'connecting' && state.reason === '');
}
