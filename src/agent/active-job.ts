/** One job from `run` to `finish`: its turns at the trees, its slots, its process, its result. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fail, messageOf, never, type Result } from '../base/result.ts';
import type { AgentMessage } from '../protocol/agent.ts';
import { MOST_SPECIALS, type JobUsage, type RefusalKind } from '../protocol/jobs.ts';
import type { RunMessage } from '../protocol/run.ts';
import { EndKind } from '../protocol/shim.ts';
import type { FsHelper } from '../tree/fs-helper.ts';
import type { Hasher } from '../tree/hash.ts';
import type { Hash } from '../tree/manifest.ts';
import type { Content } from './blobs-out.ts';
import { awaitClock } from './clock.ts';
import { watchFiles, type Finished } from './finished.ts';
import { discard, type AgentFolder } from './folder.ts';
import { endNow, type JobEvent, type JobState, type ToolEnd, transition } from './job.ts';
import { coveredIn, environmentChange, type JobPlan, type PlannedRoot } from './job-plan.ts';
import type { Log } from './log.ts';
import { writeOwner } from './orphans.ts';
import { slotsOf, type Listener, type Owner } from './owner.ts';
import { resultParts } from './result-parts.ts';
import {
  isSettled,
  collectResult,
  contentsOf,
  type Others,
  type RootResult,
  windowOf,
} from './result.ts';
import { prepare } from './run-spec.ts';
import type { Runner, Runners } from './runner.ts';
import type { Sandbox } from './sandbox.ts';
import type { ShimFolders } from './shim-folders.ts';
import type { SlotLease, Slots } from './slots.ts';
import { Streams } from './streams.ts';
import { collectTemporaries } from './temporaries.ts';
import { unfitFor } from './unfit.ts';
import { kindOf, usageOf } from './usage.ts';

export type JobNeeds = {
  readonly owner: Owner;
  readonly folder: AgentFolder;
  /** `rch-run`, and processes of it. */
  readonly runner: string;
  readonly runners: Runners;
  readonly shims: ShimFolders;
  readonly sandbox: () => Promise<Sandbox>;
  readonly slots: Slots;
  readonly helper: FsHelper;
  /** The path of `rch-fs`. */
  readonly fsProgram: string;
  readonly hasher: Hasher;
  readonly log: Log;
  /** What the other jobs that use this root do there now. */
  readonly others: (root: PlannedRoot) => Others;
  /** Slots were taken or given back. */
  readonly changed: () => void;
  /** Puts the results of an ended job aside; the value is their bytes. */
  readonly keep: (job: ActiveJob) => Promise<Result<number>>;
  /** Whether the machine is still as whoever wants the job was told. */
  readonly asTold: () => Promise<boolean>;
  /** Its tool is about to begin. Throws when it must not. */
  readonly begins: () => void;
  /** The job is over, and everything it held is given back. */
  readonly over: (outcome: 'untouched' | 'settled' | 'dropped') => void;
};

/** ns on the machine's clock. */
type Window = { readonly from: bigint; readonly till: bigint };
type ExecHere = Extract<RunMessage, { type: 'execHere' }>;

export class ActiveJob {
  readonly plan: JobPlan;
  readonly hex: string;
  readonly streams: Streams;
  readonly results: RootResult[] = [];
  readonly #needs: JobNeeds;
  readonly #giveUp = new AbortController();
  readonly #folder: string;
  #state: JobState = { at: 'waiting' };
  #listener: Listener | undefined;
  #turns: (() => void)[] = [];
  #lease: SlotLease | undefined;
  #runner: Runner | undefined;
  /** What the link said to the tool before there was one. */
  readonly #early: RunMessage[] = [];
  #execHere: ExecHere | undefined;
  #finished: Finished | undefined;
  #left: Awaited<ReturnType<typeof collectTemporaries>> = { results: [], tooMuch: '' };
  #window = { from: 0n, till: -1n };
  #shift = 0n;
  /** When the tool was heard to have started, ms of the monotonic clock. */
  #beganAt = 0;
  /** Since when nobody listens, ms; undefined while somebody does. */
  #alone: NodeJS.Timeout | undefined;
  #keeping: Promise<Result<number>> | undefined;

  constructor(plan: JobPlan, listener: Listener, needs: JobNeeds) {
    this.plan = plan;
    this.hex = plan.id.toString('hex');
    this.#needs = needs;
    this.#listener = listener;
    this.#folder = join(needs.folder.jobs, this.hex);
    this.streams = new Streams(plan.id, (message) => {
      if (this.#runner === undefined) this.#early.push(message);
      else this.#runner.send(message);
    });
    this.streams.listener = listener;
  }

  get state(): JobState {
    return this.#state;
  }

  get owner(): Owner {
    return this.#needs.owner;
  }

  get pid(): number | undefined {
    return this.#runner?.pid;
  }

  /** Does everything up to the start; never throws. */
  async begin(): Promise<void> {
    try {
      const refusal = await this.#admit();
      if (refusal !== undefined) this.#refuse(refusal.kind, refusal.reason);
    } catch (thrown) {
      this.#refuse('internal', messageOf(thrown));
    }
  }

  /** The connection is gone: a job that has not started is given up, another is given time. */
  leave(listener: Listener): void {
    if (this.#listener !== listener) return;
    this.#listener = undefined;
    this.streams.listener = undefined;
    if (this.#state.at === 'waiting') {
      this.kill();
      return;
    }
    clearTimeout(this.#alone);
    this.#alone = setTimeout(() => {
      this.#needs.log(`job ${this.hex}: its owner stayed away`);
      if (this.#state.at === 'ended') void this.keep();
      else this.kill();
    }, this.owner.hello.ownerDeadline * 1000);
  }

  /** Nobody can take the results now: they are put aside, and everything else is given back. */
  async keep(): Promise<Result<number>> {
    if (this.#state.at !== 'ended') return fail('the job has no results yet');
    this.#keeping ??= this.#needs.keep(this);
    const kept = await this.#keeping;
    if (!kept.ok) this.#needs.log(`job ${this.hex}: ${kept.failure.reason}`);
    this.kill();
    return kept;
  }

  /** Somebody takes the job up again, from what the launcher has written. */
  attach(listener: Listener, from: Extract<AgentMessage, { type: 'attach' }>): void {
    clearTimeout(this.#alone);
    this.#listener = listener;
    this.streams.listener = listener;
    if (
      this.#state.at === 'running' ||
      this.#state.at === 'collecting' ||
      this.#state.at === 'ended'
    )
      this.#tellStarted(this.#state.from);
    this.streams.retell(from);
    if (this.#state.at === 'ended') this.#tellEnd(this.#state.from, this.#state.end);
  }

  /** Ends every process of the job; what it did to its trees is undone by their next sync. */
  kill(): void {
    this.#advance({ type: 'kill' });
    this.#giveUp.abort();
    if (this.#state.at === 'ending') this.#runner?.kill();
  }

  /** The link has everything. */
  finish(): void {
    this.#advance({ type: 'finished' });
  }

  /** Why the job may not start, or undefined once it is on its way. */
  async #admit(): Promise<{ kind: RefusalKind; reason: string } | undefined> {
    const { plan } = this;
    const gone = { kind: 'internal', reason: 'the job was given up' } as const;
    for (const root of [...plan.roots].sort((a, b) => (a.root.name < b.root.name ? -1 : 1))) {
      const alone = !root.readOnly && plan.spec.concurrent !== true;
      const turn = await root.root.turns.take(alone, this.#giveUp.signal);
      if (!turn.ok) return gone;
      this.#turns.push(turn.value);
    }
    for (const { root, epoch, path, readOnly } of plan.roots) {
      // A sync that was sent before this job may still be at work.
      await root.inOrder(() => Promise.resolve());
      // Others sync and settle it meanwhile.
      const shared = readOnly || plan.spec.concurrent === true;
      const known = shared ? root.descendsFrom(epoch) : epoch !== 0n && root.epoch === epoch;
      if (!known) return { kind: 'no-root', reason: `${path} is at another epoch here` };
    }
    const sandbox = await this.#needs.sandbox();
    const refusal =
      (await unfitFor(plan, sandbox, this.#needs)) ??
      (await awaitClock(this.owner.clock, BigInt(plan.spec.newest)));
    if (refusal !== undefined) return refusal;
    if (this.#state.at !== 'waiting') return gone;
    const lease = await this.#takeSlots();
    if (lease === undefined)
      return { kind: 'busy', reason: `${this.#needs.slots.used} slots are in use here` };
    await this.#closeFolders();
    if (this.#over) {
      this.#needs.slots.give(lease);
      return gone;
    }
    this.#lease = lease;
    this.#needs.changed();
    this.#advance({ type: 'admitted' });
    this.#start(sandbox, lease);
    return undefined;
  }

  /** Not under the eyes of jobs beside it, whose results may still be on their way. */
  async #closeFolders(): Promise<void> {
    for (const { root } of this.plan.roots)
      if (root.turns.holders === 1) await root.inOrder(() => root.closeFolders());
  }

  /** Given up while it waited. */
  get #over(): boolean {
    return this.#state.at !== 'waiting';
  }

  /** Another workstation may have taken meanwhile what ours thought free: then there is a wait. */
  #takeSlots(): Promise<SlotLease | undefined> {
    const { owner, slots } = this.#needs;
    const { slots: wanted, wished, slotWaitMs } = this.plan.spec;
    const total = slotsOf(owner.hello, slots.cores);
    const wish = { job: this.hex, owner: owner.workstation, slots: wanted, total };
    return slots.take({ ...wish, wished: wished ?? wanted }, slotWaitMs, this.#giveUp.signal);
  }

  #start(sandbox: Sandbox, lease: SlotLease): void {
    const { folder, runner, runners, shims } = this.#needs;
    this.#shift = this.owner.clock.shift;
    mkdirSync(folder.jobs, { recursive: true, mode: 0o700 });
    this.#needs.begins();
    const where = { agentFolder: folder.path, folder: this.#folder };
    const prepared = prepare(this.plan, { ...where, runner, shims, sandbox, lease });
    for (const { root, readOnly } of this.plan.roots) {
      if (readOnly) continue;
      root.addCaches(this.plan.spec.caches);
    }
    this.#runner = runners.take(prepared.argv, (pid) => {
      writeOwner(this.#folder, pid, this.plan);
    });
    this.#runner.start(prepared.spec, {
      message: (message) => {
        this.#hear(message);
      },
      gone: () => {
        this.#gone();
      },
    });
    for (const message of this.#early.splice(0)) this.#runner.send(message);
  }

  #hear(message: RunMessage): void {
    switch (message.type) {
      case 'started':
        this.#begun(message.at);
        return;
      case 'failed':
        this.#refuse(kindOf(message.stage), `${message.stage}: ${message.message}`);
        return;
      case 'execHere':
        this.#execHere = message;
        this.#exited(endNow(EndKind.exited, 0));
        return;
      case 'exit': {
        const { at, value, userTime, systemTime, maxRss } = message;
        this.#exited({
          value,
          userTime,
          systemTime,
          maxRss,
          kind: message.kind === 0 ? EndKind.exited : EndKind.signaled,
          till: at,
        });
        return;
      }
      case 'out':
      case 'stdinUsed':
      case 'ttyWant':
      case 'ttyModes':
      case 'stopped':
        this.streams.fromRun(message);
        return;
      case 'spec':
      case 'credit':
      case 'stdin':
      case 'stdinEof':
      case 'ttyInput':
      case 'signal':
      case 'resize':
      case 'outClosed':
      case 'kill':
        // Only the agent says these.
        this.#runner?.kill();
        return;
      default:
        never(message);
    }
  }

  /** A content that is offered, or that of a file which the tool seemed to have finished while it ran. */
  contentOf(hash: Hash): Content | undefined {
    return this.offered.get(hash) ?? this.#finished?.content(hash);
  }

  /** What the job offers to the link, by hash. */
  get offered(): Map<Hash, Content> {
    const offered = contentsOf(this.results);
    for (const { contents } of this.#left.results)
      for (const content of contents) offered.set(content.hash, content);
    return offered;
  }

  #begun(at: bigint): void {
    this.#advance({ type: 'started', from: at });
    this.#beganAt = performance.now();
    if (this.#state.at !== 'running') return;
    this.#tellStarted(at);
    const { fsProgram: helper, hasher } = this.#needs;
    this.#finished = watchFiles(this.plan, { pid: this.pid, from: at, helper, hasher }, (told) => {
      this.#send(told);
    });
  }

  #exited(end: ToolEnd): void {
    this.#finished?.stop();
    this.#advance({ type: 'exited', end });
    if (this.#state.at === 'collecting') void this.#collect(this.#state.from, end);
  }

  /** `rch-run` is gone; when it had not told an end, the job is lost. */
  #gone(): void {
    const words = this.#runner?.words ?? '';
    if (words !== '') this.#needs.log(`job ${this.hex}: ${words.trim()}`);
    if (this.#state.at === 'starting') {
      this.#refuse('internal', `rch-run could not start the job: ${words.trim()}`);
      return;
    }
    if (this.#state.at === 'running') {
      // Killed from outside (out of memory, say): the tool's end is that of its group.
      this.#exited(endNow(EndKind.signaled, 9));
      return;
    }
    this.#advance({ type: 'exited', end: undefined });
  }

  async #collect(started: bigint, end: ToolEnd): Promise<void> {
    const elapsed = BigInt(Math.round((performance.now() - this.#beganAt) * 1e6));
    const window = windowOf(started, end.till, elapsed);
    this.#window = { from: window.from + this.#shift, till: window.till + this.#shift };
    for (const root of this.plan.roots.filter((each) => !each.readOnly)) {
      const result = await this.#collectRoot(root, window);
      if (!result.ok) {
        this.#needs.log(`job ${this.hex}: ${result.failure.reason}`);
        const { reason } = result.failure;
        this.#send({ type: 'notStarted', job: this.plan.id, kind: 'internal', reason });
        this.kill();
        break;
      }
      this.results.push(result.value);
    }
    const { helper, hasher } = this.#needs;
    const left = { plan: this.plan, folder: this.#folder, helper, hasher };
    if (this.#state.at === 'collecting') this.#left = await collectTemporaries(left);
    this.#advance({ type: 'collected' });
    if (this.#state.at === 'ended') this.#tellEnd(started, end);
  }

  #collectRoot(of: PlannedRoot, window: Window): Promise<Result<RootResult>> {
    const { root } = of;
    // Others come and go until it is our turn.
    return root.inOrder(() => {
      const { helper, others } = this.#needs;
      const alone = this.plan.spec.concurrent !== true;
      const where = { root, helper, others: others(of), alone, caches: root.caches };
      const covered = coveredIn(this.plan, of);
      return collectResult({ ...where, covered, ...window, shift: this.#shift });
    });
  }

  #tellStarted(at: bigint): void {
    this.#send({ type: 'started', job: this.plan.id, at: at + this.#shift });
  }

  /** The results, then execHere where there is one, then `ended`. */
  #tellEnd(started: bigint, end: ToolEnd): void {
    const job = this.plan.id;
    const window = this.#window;
    const lists = [
      ...this.results.map(({ root, parts }) => ({ root: root.key, parts })),
      ...this.#left.results.map(({ path, parts }) => ({ root: path, parts })),
    ];
    for (const { root, parts } of lists)
      for (const part of resultParts({ job, root, ...window }, parts)) this.#send(part);
    if (this.#execHere !== undefined) {
      const { path, cwd, argv, env } = this.#execHere;
      const given = [...this.plan.env, Buffer.from('RCH_ON_WORKER=1')];
      const { set, unset } = environmentChange(given, env);
      this.#send({ type: 'execHere', job, path, cwd, argv, setEnv: set, unsetEnv: unset });
    }
    const { tail } = this.streams;
    const usage = usageOf(this.plan, { started, end, tail, tooMuch: this.#left.tooMuch });
    const specials = this.results.flatMap((result) => result.specials).slice(0, MOST_SPECIALS);
    const json = Buffer.from(JSON.stringify({ ...usage, specials } satisfies JobUsage));
    this.#send({ type: 'ended', job, kind: end.kind, value: end.value, json });
  }

  #refuse(kind: RefusalKind, reason: string): void {
    if (this.#state.at === 'over') return;
    this.#send({ type: 'notStarted', job: this.plan.id, kind, reason });
    this.#advance({ type: 'failed' });
  }

  #send(message: AgentMessage): void {
    this.#listener?.send(message);
  }

  #advance(event: JobEvent): void {
    const before = this.#state;
    this.#state = transition(before, event);
    if (this.#state.at !== 'over' || before.at === 'over') return;
    // Whoever took it up again while it was being ended still waits for word of it.
    if (this.#state.outcome === 'dropped' && this.#keeping === undefined)
      this.#send({ type: 'unknownJob', job: this.plan.id });
    this.#giveBack(this.#state.outcome);
  }

  #giveBack(outcome: 'untouched' | 'settled' | 'dropped'): void {
    clearTimeout(this.#alone);
    this.#giveUp.abort();
    this.#finished?.stop();
    if (this.#runner !== undefined) {
      for (const { root, readOnly } of this.plan.roots) {
        if (readOnly) continue;
        const result = this.results.find((each) => each.root === root);
        const known = outcome === 'untouched' || (outcome === 'settled' && isSettled(result));
        if (!known) root.distrust();
      }
    }
    void discard(this.#needs.folder, this.#folder);
    if (this.#lease !== undefined) this.#needs.slots.give(this.#lease);
    for (const release of this.#turns) release();
    this.#turns = [];
    this.#needs.changed();
    this.#needs.over(outcome);
  }
}
