/** One job from the launcher's commit to its end: acts on what job-state.ts decides. */
import { performance } from 'node:perf_hooks';
import { fail, messageOf, never } from '../../src/base/result.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { JobOutcome, LinkToFront, Phases, PlannedJob } from '../../src/protocol/ipc.ts';
import { jobUsage } from '../../src/protocol/jobs.ts';
import { EndKind, type ShimMessage } from '../../src/protocol/shim.ts';
import type { FsHelper } from '../../src/tree/fs-helper.ts';
import type { Hasher } from '../../src/tree/hash.ts';
import type { RawPath } from '../../src/tree/manifest.ts';
import type { RedoJournal } from '../artifacts/redo.ts';
import type { Spool } from '../artifacts/spool.ts';
import { jobSpecOf } from '../exec/spec.ts';
import { prepare, type Prepared } from '../sync/prepare.ts';
import type { PushPeer } from '../sync/push.ts';
import type { RootBook } from '../sync/shared-root.ts';
import type { AgentClient } from './agent-client.ts';
import type { Launcher } from './launchers.ts';
import { Results } from './results.ts';
import { transition, type End, type JobEffect, type JobEvent, type JobState } from './job-state.ts';
import { Notices } from './notices.ts';
import { outsideOf, temporariesOf } from './outside.ts';
import { agentMessageFor, Relay } from './relay.ts';
import { Returning, type Returned } from './returning.ts';
import { Reunion } from './reunion.ts';

type Done = Extract<LinkToFront, { type: 'done' }>;

export type JobNeeds = {
  readonly client: AgentClient;
  readonly book: RootBook;
  readonly spool: Spool;
  readonly helper: FsHelper;
  readonly peer: Omit<PushPeer, 'progress'>;
  readonly redo: RedoJournal;
  readonly spoolFolder: string;
  readonly hasher: Hasher;
  readonly worker: string;
  /** ms a started job waits for its agent to come back before it is given up. */
  readonly patienceMs: number;
  readonly phase: (phase: string) => void;
  readonly report: (done: Done) => void;
};

const raw = (text: string): Buffer => Buffer.from(text, 'latin1');

export class Job {
  readonly plan: PlannedJob;
  readonly #needs: JobNeeds;
  readonly #id: Buffer;
  readonly #abort = new AbortController();
  readonly #relay: Relay;
  readonly #results = new Results();
  readonly #reunion: Reunion;
  readonly #notices: Notices;
  readonly #times = { queue: 0, scan: 0, early: 0, sync: 0, sent: 0 };
  readonly #returning: Returning;
  #state: JobState = { at: 'planned' };
  #launcher: Launcher | undefined;
  #prepared: Prepared | undefined;
  #began = 0;
  #startedAt = 0;
  #phases: Phases = {};
  #received = 0;
  #returned: Returned = { conflicts: [], missedEnv: [], unseen: '' };
  #deniedPath: RawPath = '';
  #timeout: NodeJS.Timeout | undefined;
  /** Settles what goes on after the launcher had its exit. */
  #aftermath: Promise<void> = Promise.resolve();

  constructor(plan: PlannedJob, needs: JobNeeds) {
    this.plan = plan;
    this.#needs = needs;
    this.#id = Buffer.from(plan.job, 'hex');
    this.#relay = new Relay(this.#id, (message) => needs.client.send(message));
    this.#reunion = new Reunion(needs.patienceMs);
    this.#returning = new Returning({
      ...needs,
      folder: needs.spoolFolder,
      temporaries: temporariesOf(plan.env),
      job: plan.job,
      results: this.#results,
      reunion: this.#reunion,
      withheld: new Set(plan.withheld),
    });
    this.#notices = new Notices(plan, (text, always) => {
      this.#launcher?.send({ type: 'notice', text, always });
    });
  }

  get state(): JobState['at'] {
    return this.#state.at;
  }

  /** The launcher is here: from now on the link acts. */
  commit(launcher: Launcher): void {
    this.#began = performance.now();
    this.#serve(launcher);
    this.#notices.step(`remote: on ${this.#needs.worker}: ${this.plan.reason}`);
    this.#handle({ type: 'commit' });
  }

  /** The launcher is back on a new connection and says what it has written. */
  resume(launcher: Launcher, message: Extract<ShimMessage, { type: 'resume' }>): void {
    this.#launcher?.drop();
    this.#serve(launcher);
    this.#relay.resumed(message);
    this.#needs.client.send(this.#relay.attach());
  }

  #serve(launcher: Launcher): void {
    this.#launcher = launcher;
    launcher.onMessage = (message) => {
      const forward = agentMessageFor(this.#id, message);
      if (forward !== undefined) this.#relay.toAgent(forward);
    };
    launcher.onGone = () => {
      if (this.#launcher === launcher) this.#handle({ type: 'launcherGone' });
    };
  }

  /** Ends the job on somebody's wish (rch cancel, a time limit). */
  cancel(reason: string): void {
    if (this.#state.at === 'planned' || this.#state.at === 'preparing')
      this.#handle({ type: 'refused', reason, learn: false });
    else this.#handle({ type: 'lost', reason });
  }

  agentLost(): void {
    this.#relay.pause();
    if (this.#state.at === 'starting' || this.#state.at === 'running') {
      this.#reunion.begin(() => {
        this.#handle({
          type: 'lost',
          reason: `the connection to ${this.#needs.worker} did not come back`,
        });
      });
    }
  }

  agentBack(): void {
    this.#reunion.end();
    if (
      this.#state.at === 'starting' ||
      this.#state.at === 'running' ||
      this.#state.at === 'returning'
    )
      this.#needs.client.send(this.#relay.attach());
  }

  /** Takes a message of the agent that names this job. */
  agentMessage(message: Extract<AgentMessage, { job: Buffer }>): void {
    switch (message.type) {
      case 'notStarted':
        this.#handle({
          type: 'refused',
          reason: message.reason,
          learn: message.kind === 'no-tool',
        });
        return;
      case 'unknownJob':
        this.#handle(
          this.#state.at === 'starting'
            ? { type: 'refused', reason: 'the worker was restarted', learn: false }
            : { type: 'lost', reason: `${this.#needs.worker} no longer knows the job` },
        );
        return;
      case 'started':
        this.#started();
        this.#handle({ type: 'started' });
        return;
      case 'result': {
        const bad = this.#results.add(message);
        if (bad !== undefined) this.#handle({ type: 'lost', reason: bad });
        return;
      }
      case 'ready':
        if (this.#state.at === 'running') this.#returning.offered(message);
        return;
      case 'execHere':
        this.#relay.execHere(message);
        return;
      case 'ended':
        this.#ended(message);
        return;
      default: {
        // Whatever the tool says, it says after its start, also when the word of that is still on its way.
        if (this.#state.at === 'starting') this.#handle({ type: 'started' });
        const forward = this.#relay.fromAgent(message);
        if (forward !== undefined) this.#launcher?.send(forward);
      }
    }
  }

  #ended(message: Extract<AgentMessage, { type: 'ended' }>): void {
    const usage = jobUsage.safeParse(parseJson(message.json));
    if (usage.success) this.#deniedPath = outsideOf(usage.data);
    const end: End =
      this.#relay.program !== undefined
        ? { kind: 'execHere' }
        : message.kind === EndKind.signaled
          ? { kind: 'signaled', signal: message.value }
          : { kind: 'exited', code: message.value };
    this.#handle({ type: 'ended', end });
  }

  #handle(event: JobEvent): void {
    const next = transition(this.#state, event);
    this.#state = next.state;
    for (const effect of next.effects) this.#act(effect);
  }

  #act(effect: JobEffect): void {
    switch (effect) {
      case 'prepare':
        void this.#prepare();
        return;
      case 'run':
        this.#run();
        return;
      case 'sayStarted':
        this.#sayStarted();
        return;
      case 'return':
        void this.#takeBack();
        return;
      case 'sayEnd':
        this.#sayEnd();
        return;
      case 'sayLocal':
        this.#sayLocal();
        return;
      case 'sayLost':
        this.#sayLost();
        return;
      case 'killThere':
        this.#needs.client.send({ type: 'kill', job: this.#id });
        for (const held of this.#prepared?.roots ?? []) held.root.distrust();
        return;
      case 'report':
        this.#report();
        return;
      default:
        never(effect);
    }
  }

  async #prepare(): Promise<void> {
    this.#notices.progress.begin(`preparing ${this.#needs.worker}`);
    const result = await prepare(this.plan, {
      book: this.#needs.book,
      peer: {
        ...this.#needs.peer,
        progress: (done, total) => {
          this.#notices.progress.update(done, total);
        },
      },
      signal: this.#abort.signal,
      times: this.#times,
      phase: (text) => {
        this.#needs.phase(text);
        this.#notices.progress.begin(text);
        this.#notices.step(text);
      },
    }).catch((thrown: unknown) => ({ ok: false as const, failure: { reason: messageOf(thrown) } }));
    this.#notices.progress.end();
    if (!result.ok) {
      this.#handle({ type: 'refused', reason: result.failure.reason, learn: false });
      return;
    }
    if (this.#state.at !== 'preparing') {
      for (const held of result.value.roots) held.release();
      return;
    }
    this.#prepared = result.value;
    this.#handle({ type: 'prepared' });
  }

  /** Told again after a reconnect: the first time counts. */
  #started(): void {
    if (this.#phases.start !== undefined) return;
    const now = performance.now();
    this.#phases = { ...this.#phases, start: now - this.#startedAt };
    this.#startedAt = now;
  }

  #run(): void {
    const prepared = this.#prepared;
    if (prepared === undefined) throw new Error('run before prepare');
    const spec = jobSpecOf(this.plan, prepared.ready, prepared.newest);
    this.#startedAt = performance.now();
    const sent = this.#needs.client.send({
      type: 'run',
      job: this.#id,
      json: Buffer.from(JSON.stringify(spec)),
      argv: this.plan.argv.map(raw),
      env: this.plan.env.map(raw),
      cwd: raw(this.plan.cwd),
      tool: raw(this.plan.tool),
    });
    if (!sent)
      this.#handle({
        type: 'refused',
        reason: `the connection to ${this.#needs.worker} was lost`,
        learn: false,
      });
  }

  #sayStarted(): void {
    this.#needs.phase('running');
    this.#notices.step(`running on ${this.#needs.worker}`);
    this.#launcher?.send({ type: 'started' });
    this.#relay.start();
    if (this.plan.timeoutMs > 0)
      this.#timeout = setTimeout(() => {
        this.#handle({
          type: 'lost',
          reason: `the command took longer than ${this.plan.timeoutMs} ms (execution.timeout_sec)`,
        });
      }, this.plan.timeoutMs);
  }

  async #takeBack(): Promise<void> {
    clearTimeout(this.#timeout);
    this.#phases = { ...this.#phases, run: performance.now() - this.#startedAt };
    this.#needs.phase('returning');
    this.#notices.step(`returning from ${this.#needs.worker}`);
    this.#notices.progress.begin(`fetching results from ${this.#needs.worker}`);
    const began = performance.now();
    const returning = this.#returning;
    const roots = this.#prepared?.roots ?? [];
    const result = await returning
      .take(roots.filter((root) => root.plan.policy === 'project'))
      .catch((thrown: unknown) => fail(messageOf(thrown)));
    this.#notices.progress.end();
    this.#received = returning.received;
    this.#phases = { ...this.#phases, return: performance.now() - began };
    if (!result.ok) {
      const reason = `the results could not be brought back: ${result.failure.reason}`;
      this.#handle({ type: 'lost', reason });
      return;
    }
    this.#returned = result.value;
    this.#aftermath = returning.settle();
    this.#handle({ type: 'returned' });
  }

  #sayEnd(): void {
    if (this.#state.at !== 'over') return;
    const outcome = this.#state.outcome;
    this.#sayResults();
    const program = this.#relay.program;
    if (outcome.kind === 'execHere' && program !== undefined) this.#launcher?.finish(program);
    else if (outcome.kind === 'signaled')
      this.#launcher?.finish({ type: 'exit', kind: EndKind.signaled, value: outcome.signal });
    else if (outcome.kind === 'exited')
      this.#launcher?.finish({ type: 'exit', kind: EndKind.exited, value: outcome.code });
  }

  #sayLocal(): void {
    const outcome: JobOutcome | undefined =
      this.#state.at === 'over' ? this.#state.outcome : undefined;
    const reason = outcome?.kind === 'local' ? outcome.reason : '';
    this.#notices.progress.end();
    this.#notices.step(`here: ${reason}`);
    this.#launcher?.finish({ type: 'local', reason, notice: '', lease: 0n });
  }

  #sayLost(): void {
    const reason =
      this.#state.at === 'over' && this.#state.outcome.kind === 'lost'
        ? this.#state.outcome.reason
        : '';
    this.#notices.progress.end();
    this.#launcher?.finish({
      type: 'lost',
      text: `the run on ${this.#needs.worker} was lost: ${reason}`,
    });
  }

  #report(): void {
    if (this.#state.at !== 'over') return;
    const outcome = this.#state.outcome;
    clearTimeout(this.#timeout);
    this.#reunion.end();
    this.#abort.abort();
    const roots = this.#prepared?.roots ?? [];
    if (outcome.kind === 'lost' || outcome.kind === 'abandoned') void this.#returning.giveUp();
    void this.#aftermath.finally(() => {
      for (const held of roots) held.release();
    });
    const { queue, scan, early, sync, sent } = this.#times;
    this.#needs.report({
      type: 'done',
      job: this.plan.job,
      outcome,
      phases: { queue, scan, early, sync, ...this.#phases, total: performance.now() - this.#began },
      bytes: { sent, received: this.#received, output: this.#relay.output },
      conflicts: [...this.#returned.conflicts],
      missedEnv: [...this.#returned.missedEnv],
      deniedPath: this.#deniedPath || this.#returned.unseen,
    });
  }

  /** From the question on: what the front took counts as queueing. */
  #wholePhases(): Phases {
    const { queue, scan, sync } = this.#times;
    const { waitedMs } = this.plan;
    const total = waitedMs + performance.now() - this.#began;
    return { queue: waitedMs + queue, scan, sync, ...this.#phases, total };
  }

  #sayResults(): void {
    for (const path of this.#returned.conflicts) this.#notices.kept(raw(path).toString('utf8'));
    this.#notices.end(this.#needs.worker, this.#wholePhases());
  }
}

function parseJson(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
}
