/** Gets all roots of a job ready on the worker: look, send what differs, and again while files keep changing. */
import { performance } from 'node:perf_hooks';
import { formatBytes } from '../../src/base/amounts.ts';
import { nowNs } from '../../src/base/clock.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { PlannedJob, PlannedRoot } from '../../src/protocol/ipc.ts';
import type { RawPath } from '../../src/tree/manifest.ts';
import { shown } from '../../src/tree/paths.ts';
import type { Snapshot } from '../../src/tree/tree.ts';
import type { ReadyRoot } from '../exec/spec.ts';
import type { Early } from './early-look.ts';
import { lookThere } from './look-there.ts';
import { isBelow } from './outgoing.ts';
import type { Hold, RootLock } from './root-lock.ts';
import { Push, type PushFailure, type PushPeer } from './push.ts';
import type { Seen } from './seen.ts';
import type { Edits, RootBook, SharedRoot } from './shared-root.ts';

/** How often a tree may change under our hands before the command runs here instead. */
const LOOKS = 6;

/** A root of a running job; `release` lets the next job at it. */
export type HeldRoot = {
  readonly root: SharedRoot;
  readonly plan: PlannedRoot;
  /** As it was before the run; the manifest is empty where a link before this one took it. */
  readonly snapshot: Pick<Snapshot, 'manifest' | 'scanTime' | 'newest'>;
  /** What the link before this one saw of files that had changed just before its scan. */
  readonly seen?: Seen;
  readonly edits: Edits;
  /** Other jobs may use the root meanwhile. */
  readonly shares: boolean;
  /** Looks at the root and places in it while no other job does; `work` must not wait for one. */
  readonly alone: <T>(work: () => Promise<T>) => Promise<T>;
  readonly release: () => void;
};

export type Prepared = {
  readonly roots: readonly HeldRoot[];
  readonly ready: readonly ReadyRoot[];
  readonly newest: bigint;
};

/** ms, and bytes; `early`: the part of `scan` that was over before the commit. */
export type PrepareTimes = {
  queue: number;
  scan: number;
  early: number;
  sync: number;
  sent: number;
  /** Bytes of the trees, sent or not. */
  tree: number;
};

export type PrepareNeeds = {
  readonly book: RootBook;
  readonly peer: PushPeer;
  readonly signal: AbortSignal;
  readonly times: PrepareTimes;
  readonly phase: (text: string) => void;
  /** Another job has a root for itself: a wait for it begins, which the value ends. */
  readonly wait: (root: string) => () => void;
};

/** `looks`: whether the agent found each of its trees to be what was agreed. */
type RoundNeeds = PrepareNeeds & { readonly looks: Promise<boolean>[] };

const earlier = (one: bigint, two: bigint): bigint => (one < two ? one : two);

/** Paths of `absolute` below `root`, relative to it. */
function relativeTo(root: string, absolute: readonly string[]): string[] {
  return absolute.filter((path) => isBelow(path, root)).map((path) => path.slice(root.length + 1));
}

/** On failure every lock is released again. */
export async function prepare(
  job: PlannedJob,
  needs: PrepareNeeds,
): Promise<Result<Prepared, PushFailure>> {
  const looks: Promise<boolean>[] = [];
  const prepared = await prepareAll(job, { ...needs, looks });
  if (!prepared.ok) return prepared;
  const sound = await soundOf(looks, needs.signal);
  if (sound === true) return prepared;
  for (const root of prepared.value.roots) root.release();
  if (sound === undefined) return fail('the caller went away');
  needs.times.tree = 0;
  return prepareAll(job, { ...needs, looks: [] });
}

/** Undefined: nobody waits for it any more. */
function soundOf(
  looks: readonly Promise<boolean>[],
  signal: AbortSignal,
): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const gone = (): void => {
      resolve(undefined);
    };
    if (signal.aborted) gone();
    signal.addEventListener('abort', gone, { once: true });
    void Promise.all(looks).then((all) => {
      signal.removeEventListener('abort', gone);
      resolve(!all.includes(false));
    });
  });
}

async function prepareAll(
  job: PlannedJob,
  needs: RoundNeeds,
): Promise<Result<Prepared, PushFailure>> {
  const held: HeldRoot[] = [];
  const ready: ReadyRoot[] = [];
  let newest = 0n;
  // One order for all jobs, so that two of them never wait for each other.
  const plans = [...job.roots].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const plan of plans) {
    const one = await prepareOne(job, plan, needs);
    if (!one.ok) {
      for (const root of held) root.release();
      return one;
    }
    held.push(one.value.held);
    ready.push(one.value.ready);
    if (one.value.newest > newest) newest = one.value.newest;
  }
  return ok({ roots: held, ready, newest });
}

async function prepareOne(
  job: PlannedJob,
  plan: PlannedRoot,
  needs: RoundNeeds,
): Promise<Result<{ held: HeldRoot; ready: ReadyRoot; newest: bigint }, PushFailure>> {
  const root = needs.book.get(plan);
  const taking = new Taking(root, needs);
  try {
    if (plan.policy === 'readOnly') await taking.alone();
    else if (job.outputs === undefined) await taking.writer();
    else await taking.beside(relativeTo(root.path, job.outputs));
    const synced = await synchronise(job, { root, plan, taking }, needs);
    if (!synced.ok) {
      taking.release();
      return synced;
    }
    needs.times.tree += synced.value.snapshot.bytes;
    const { snapshot, epoch } = synced.value;
    const { edits, end } = root.watch(job.outputFiles);
    taking.onRelease = end;
    if (plan.policy === 'readOnly') await taking.reader();
    else taking.run();
    return ok({
      held: {
        root,
        plan,
        snapshot,
        edits,
        shares: taking.shares,
        alone: (work) => taking.inTurn(work),
        release: () => {
          taking.release();
        },
      },
      ready: { root: root.key, path: root.path, policy: plan.policy, epoch },
      // What is dated in the future is so for the tool here, too, which would not wait for it.
      newest: earlier(snapshot.newest, nowNs()),
    });
  } catch (thrown) {
    taking.release();
    if (needs.signal.aborted) return fail('the caller went away');
    throw thrown;
  }
}

/**
 * A job's hold on a root. A project root has one job at a time, or several that only make outputs of their own; of
 * these, one at a time looks at it, syncs it or places in it. A read-only root has many readers, one of them at a
 * time looks at it, and only what changes it must be alone. Whoever waits for the use of a root does not hold the
 * look at it.
 */
class Taking {
  readonly #root: SharedRoot;
  readonly #needs: PrepareNeeds;
  #look: Hold | undefined;
  #use: Hold | undefined;
  #claimed: (() => void) | undefined;
  /** What ends with the hold. */
  onRelease: () => void = () => undefined;
  /** Runs beside others. */
  shares = false;

  #excludes = false;

  constructor(root: SharedRoot, needs: PrepareNeeds) {
    this.#root = root;
    this.#needs = needs;
  }

  /** The only user of the root. */
  async writer(): Promise<void> {
    this.#use ??= await this.#wait(this.#root.lock, true);
  }

  /** Beside other jobs, unless one of them writes the same files. */
  async beside(outputs: readonly string[]): Promise<void> {
    this.#use = await this.#wait(this.#root.lock, false);
    this.#claimed = this.#root.claim(outputs);
    if (this.#claimed === undefined) {
      this.#use.release();
      this.#use = await this.#wait(this.#root.lock, true);
      return;
    }
    this.shares = true;
    this.#look = await this.#wait(this.#root.looking, true);
  }

  /**
   * Waits until no other job uses the root, and keeps them out; what was seen of it before may be out of date. Where
   * another job is at that already, it is enough to come in after it: then little is left to bring.
   */
  async exclude(): Promise<void> {
    this.#look?.release();
    this.#use?.release();
    this.#look = undefined;
    if (this.#root.excluding) {
      this.#use = await this.#wait(this.#root.lock, false);
      this.#look = await this.#wait(this.#root.looking, true);
      return;
    }
    this.#root.excluding = this.#excludes = true;
    this.#use = await this.#wait(this.#root.lock, true);
    this.shares = false;
  }

  #admitOthers(): void {
    if (this.#excludes) this.#root.excluding = false;
    this.#excludes = false;
  }

  /** The job may run: those that may run beside it come in. */
  run(): void {
    this.#admitOthers();
    if (this.#claimed !== undefined) {
      this.#use?.share();
      this.shares = true;
    }
    this.#look?.release();
    this.#look = undefined;
  }

  /** The only one to look at the root, beside its readers. */
  async alone(): Promise<void> {
    this.#look = await this.#wait(this.#root.looking, true);
  }

  /** A reader among others, when the looking is over. */
  async reader(): Promise<void> {
    this.#use?.release();
    this.#use = await this.#wait(this.#root.lock, false);
    this.#look?.release();
  }

  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const look = await this.#root.looking.acquire(true, new AbortController().signal);
    try {
      return await work();
    } finally {
      look.release();
    }
  }

  release(): void {
    this.#admitOthers();
    this.onRelease();
    this.#claimed?.();
    this.#use?.release();
    this.#look?.release();
  }

  async #wait(lock: RootLock, exclusive: boolean): Promise<Hold> {
    const began = performance.now();
    const { phase, signal, times, wait } = this.#needs;
    if (lock.busy) phase(`waiting for another job in ${this.#root.path}`);
    const over = lock.busy ? wait(this.#root.path) : (): void => undefined;
    try {
      return await lock.acquire(exclusive, signal);
    } finally {
      over();
      times.queue += performance.now() - began;
    }
  }
}

/** The tree as it stands now, or as it stood a moment ago when the command's plan was made. */
async function lookAt(
  root: SharedRoot,
  early: Early | undefined,
  times: PrepareTimes,
): Promise<Result<Snapshot>> {
  if (early !== undefined) {
    times.early += early.took;
    times.scan += early.took;
    return ok(early.snapshot);
  }
  const began = performance.now();
  const snapshot = await root.look();
  times.scan += performance.now() - began;
  return snapshot;
}

/** Both ends of a FIFO are on one machine. Sockets are left about by what runs here, and mean nothing to a build. */
function fifoIn({ refused }: Snapshot): RawPath | undefined {
  return refused.find(({ what }) => what === 'fifo')?.path;
}

async function synchronise(
  job: PlannedJob,
  at: { readonly root: SharedRoot; readonly plan: PlannedRoot; readonly taking: Taking },
  needs: RoundNeeds,
): Promise<Result<{ snapshot: Snapshot; epoch: bigint }, PushFailure>> {
  const { root, plan } = at;
  const caches = relativeTo(root.path, job.caches);
  let last: PushFailure = { reason: 'files kept changing while they were sent' };
  let whole: boolean = false;
  const early = root.early.take(job.checksum ? '' : job.look);
  if (job.checksum) root.tree.forget();
  needs.looks.push(early?.there ?? lookThere(root, needs.peer));
  for (let look = 0; look < LOOKS; look++) {
    if (plan.git !== undefined) needs.phase(`gathering git's history in ${plan.git}`);
    const snapshot = await lookAt(root, look === 0 ? early : undefined, needs.times);
    if (!snapshot.ok) return snapshot;
    if (plan.policy === 'project' && snapshot.value.bytes > job.maxRootBytes)
      return fail(
        `${root.path} holds ${formatBytes(snapshot.value.bytes)}, more than transfer.max_transfer_size_mb allows`,
      );
    const fifo = plan.policy === 'project' && job.outputs === undefined && fifoIn(snapshot.value);
    if (fifo) return fail(`${shown(fifo)} is a FIFO, which cannot be carried to a worker`);
    const outgoing = root.outgoing(snapshot.value, caches, plan);
    if (!outgoing.whole && outgoing.changes.length === 0 && root.epoch !== undefined)
      return ok({ snapshot: snapshot.value, epoch: root.epoch });
    if (at.taking.shares) {
      // Beside running jobs only single files are brought; the whole may be anything.
      if (outgoing.whole) {
        await at.taking.exclude();
        continue;
      }
    } else await at.taking.writer();
    needs.phase(`sending ${root.path}`);
    const syncing = performance.now();
    const push: Push = new Push(needs.peer, { root, outgoing }, { whole });
    const result: Result<bigint | undefined, PushFailure> = await push.run();
    needs.times.sync += performance.now() - syncing;
    needs.times.sent += push.sent;
    if (needs.signal.aborted) return fail('the caller went away');
    if (result.ok && result.value !== undefined)
      return ok({ snapshot: snapshot.value, epoch: result.value });
    // Whatever went wrong, only a whole sync is sure to be right after it.
    root.distrust();
    if (!result.ok) {
      if (result.failure.changed !== true && result.failure.patched !== true) return result;
      whole ||= result.failure.patched === true;
      last = result.failure;
    }
  }
  return { ok: false, failure: last };
}
