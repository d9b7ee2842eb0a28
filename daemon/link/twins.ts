/**
 * Commands that are run once for several callers. A *lead* is a job whose run may serve others that ask for the very
 * same (command, tree, worker) while it is at work; these *follow*: they begin nothing, and get its output from the
 * first byte and its end once all it made is in place. A lead that comes to nothing leaves its followers to
 * themselves: the first of them runs, the others follow it.
 * ```
 *  planned ─commit─▶ preparing ─prepared─▶ running ─ended─▶ over
 *                                          may be joined while the tree here is the one that was prepared
 * ```
 */
import { once } from 'node:events';
import { deadline } from '../../src/base/deadline.ts';
import type { ShimMessage } from '../../src/protocol/shim.ts';
import type { HeldRoot } from '../sync/prepare.ts';
import type { End } from './job-state.ts';
import { Recording, type Piece } from './recording.ts';
import type { Reusable } from './reusable.ts';

/** How long a follower waits for the launcher of its lead to commit, ms: it may have gone its own way. */
const COMMIT_MS = 2000;
/** How long a result that is about to be kept is waited for, ms: the launcher of its run may stand still. */
const SETTLE_MS = 2000;

/** What a run is for whoever shares it. */
export type Shared = {
  /** The job that ran, 32 hex digits. */
  readonly job: string;
  readonly end: End;
  readonly pieces: readonly Piece[];
  /** What the launcher is to become, for `execHere`. */
  readonly program: Extract<ShimMessage, { type: 'execHere' }> | undefined;
};

/**
 * `absent`: it never ran, or has ended. `differs`: what another would get now is not what it makes. `joined`: `end`
 * resolves with what it came to, undefined for nothing or when the signal was aborted.
 */
type Admission =
  | { readonly kind: 'absent' | 'differs' }
  | { readonly kind: 'joined'; readonly end: Promise<Shared | undefined> };

/** One that shares the run of another. */
type Follower = {
  readonly settle: (shared: Shared | undefined) => void;
  /** The lead's own caller has gone, and with it the locks it held here: this one's launcher is to hold them. */
  readonly inherit: () => void;
};

/** What a job wants to hear while it waits for another's run. */
export type Waiting = {
  /** Which job it waits for; '' when that came to nothing. */
  readonly told: (job: string) => void;
  readonly inherit: () => void;
  readonly signal: AbortSignal;
};

type Stage = 'planned' | 'preparing' | 'running' | 'over';

export class Lead {
  readonly job: string;
  /** Empty: it is run for its own caller alone. */
  readonly key: string;
  readonly recording = new Recording();
  readonly #onDeserted: () => void;
  #stage: Stage = 'planned';
  #roots: readonly HeldRoot[] = [];
  /** Its own caller had a hand in the run: it is no longer what another would get. */
  #spoilt = false;
  readonly #followers = new Set<Follower>();
  readonly #waiting = new Set<() => void>();

  /** `onDeserted` is called when the last follower has gone. */
  constructor(job: string, key: string, onDeserted: () => void) {
    this.job = job;
    this.key = key;
    this.#onDeserted = onDeserted;
    if (key === '') this.recording.drop();
  }

  get followed(): boolean {
    return this.#followers.size > 0;
  }

  /** Its own caller is gone: the next one holds what that held. */
  bequeath(): void {
    const [heir] = this.#followers;
    heir?.inherit();
  }

  committed(): void {
    this.#become('preparing');
  }

  prepared(roots: readonly HeldRoot[]): void {
    this.#roots = roots;
    this.#become('running');
  }

  /** From here on nobody else may share the run. */
  spoil(): void {
    this.#spoilt = true;
  }

  /** The tool wrote something. */
  wrote(piece: Piece): void {
    this.recording.add(piece.stream, piece.offset, piece.data);
    if (!this.recording.whole) this.#settle(undefined);
  }

  /** The tool has ended: what comes back from now on changes the tree. */
  ended(): void {
    this.#become('over');
  }

  /** All of it is in place, or (undefined) it came to nothing. The value is what it is for others. */
  over(end: Pick<Shared, 'end' | 'program'> | undefined): Shared | undefined {
    this.#become('over');
    const { job, recording } = this;
    const shared =
      end === undefined || !recording.whole ? undefined : { job, ...end, pieces: recording.pieces };
    this.#settle(shared);
    this.#roots = [];
    recording.drop();
    return this.#spoilt ? undefined : shared;
  }

  /** Lets another job wait for this one's end, if it may. */
  async admit({ signal, inherit }: Waiting): Promise<Admission> {
    await this.#underWay(signal);
    if (this.#stage !== 'running' || signal.aborted) return { kind: 'absent' };
    if (!(await this.#unedited(signal))) return { kind: 'differs' };
    return { kind: 'joined', end: this.#follow(signal, inherit) };
  }

  /** Resolves once it runs or is over, or was not even committed in good time, or the signal is aborted. */
  async #underWay(signal: AbortSignal): Promise<void> {
    const soon = deadline(COMMIT_MS, signal);
    while (this.#stage === 'planned' && !soon.signal.aborted) await this.#next(soon.signal);
    soon.over();
    while (this.#stage === 'preparing' && !signal.aborted) await this.#next(signal);
  }

  /** Waits for the next stage, or the signal. */
  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #become(stage: Stage): void {
    this.#stage = stage;
    for (const wake of [...this.#waiting]) wake();
  }

  get #joinable(): boolean {
    return this.#stage === 'running' && !this.#spoilt && this.recording.whole;
  }

  /** Whether every root here still is what was prepared; looks at each now. */
  async #unedited(signal: AbortSignal): Promise<boolean> {
    for (const { root, edits } of this.#roots) {
      const look = await root.looking.acquire(true, signal).catch(() => undefined);
      try {
        if (look === undefined || !this.#joinable) return false;
        const seen = await root.look();
        if (!seen.ok || edits.paths.size > 0) return false;
      } finally {
        look?.release();
      }
    }
    return this.#joinable && !signal.aborted;
  }

  #follow(signal: AbortSignal, inherit: () => void): Promise<Shared | undefined> {
    return new Promise((resolve) => {
      const settle = (shared: Shared | undefined): void => {
        this.#followers.delete(follower);
        signal.removeEventListener('abort', leave);
        resolve(shared);
      };
      const leave = (): void => {
        settle(undefined);
        if (!this.followed) this.#onDeserted();
      };
      const follower: Follower = { settle, inherit };
      this.#followers.add(follower);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #settle(shared: Shared | undefined): void {
    for (const { settle } of [...this.#followers]) settle(shared);
  }
}

/** The leads of one worker, and results that may answer once more. */
export class Twins {
  readonly #leads = new Map<string, Lead>();
  readonly #past = new Map<string, Reusable>();
  /** Runs that ended and whose results are about to be kept, by key. */
  readonly #settling = new Map<string, Promise<void>>();

  /** A job that was planned: unless another has its key, others may follow it. */
  add(lead: Lead): void {
    if (lead.key !== '' && !this.#leads.has(lead.key)) this.#leads.set(lead.key, lead);
  }

  /** It is over, or was never begun. */
  remove(lead: Lead): void {
    if (this.#leads.get(lead.key) === lead) this.#leads.delete(lead.key);
  }

  /** A result will be kept: who asks for it before the returned function is called waits. */
  settling(key: string): () => void {
    let settled = (): void => undefined;
    const until = new Promise<void>((resolve) => (settled = resolve));
    this.#settling.set(key, until);
    return () => {
      if (this.#settling.get(key) === until) this.#settling.delete(key);
      settled();
    };
  }

  /** Keeps a finished run for the next who asks for the same, for so many ms. */
  keep(key: string, past: Reusable, ms: number): void {
    this.#past.get(key)?.drop();
    this.#past.set(key, past);
    setTimeout(() => {
      past.drop();
      if (this.#past.get(key) === past) this.#past.delete(key);
    }, ms).unref();
  }

  /** Waits for a run that serves `own` too; undefined when it has to run itself, which others may then follow. */
  async join(own: Lead, waiting: Waiting): Promise<Shared | undefined> {
    const { told, signal } = waiting;
    if (own.key === '') return undefined;
    await this.#settled(own.key, signal);
    const past = this.#past.get(own.key);
    if (past !== undefined && (await past.holds(signal))) {
      told(past.shared.job);
      return past.shared;
    }
    while (!signal.aborted) {
      const lead = this.#leads.get(own.key) ?? own;
      if (lead === own) {
        this.#leads.set(own.key, own);
        return undefined;
      }
      const admission = await lead.admit(waiting);
      if (admission.kind === 'joined') {
        told(lead.job);
        const shared = await admission.end;
        if (shared !== undefined) return shared;
        told('');
      } else if (this.#leads.get(own.key) === lead) this.#leads.set(own.key, own);
    }
    return undefined;
  }

  async #settled(key: string, signal: AbortSignal): Promise<void> {
    const settling = this.#settling.get(key);
    if (settling === undefined || signal.aborted) return;
    const soon = deadline(SETTLE_MS, signal);
    await Promise.race([settling, once(soon.signal, 'abort')]);
    soon.over();
  }
}
