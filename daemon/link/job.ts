/** One job from the launcher's commit to its end, over several links if need be: acts on what job-state.ts decides. */
import { performance } from 'node:perf_hooks';
import { fail, messageOf, never } from '../../src/base/result.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { LastingPlan, LinkToFront, Phases } from '../../src/protocol/ipc.ts';
import type { ShimMessage } from '../../src/protocol/shim.ts';
import type { RawPath } from '../../src/tree/manifest.ts';
import { jobSpecOf } from '../exec/spec.ts';
import { prepare, type Prepared } from '../sync/prepare.ts';
import type { PushPeer } from '../sync/push.ts';
import { Caller } from './caller.ts';
import { Holdings, type HoldingsNeeds } from './holdings.ts';
import { endOf, outsideOfEnd, stateOf, type JobOrigin } from './job-origin.ts';
import { transition, type JobEffect, type JobEvent, type JobState } from './job-state.ts';
import type { Launcher } from './launchers.ts';
import { agentMessageFor, Relay } from './relay.ts';
import { Results } from './results.ts';
import type { Returned } from './returning.ts';
import { Reunion } from './reunion.ts';
import { Talk } from './talk.ts';

type Done = Extract<LinkToFront, { type: 'done' }>;

export type JobNeeds = HoldingsNeeds & {
  readonly peer: Omit<PushPeer, 'progress'>;
  readonly worker: string;
  /** ms a started job waits for its agent, or its launcher, to come back before it is given up. */
  readonly patienceMs: number;
  readonly phase: (phase: string) => void;
  readonly report: (done: Done) => void;
  /** Everybody has heard of the end, and nothing is held any more. `kept`: its results stay on the worker. */
  readonly closed: (kept: boolean) => void;
};

const raw = (text: string): Buffer => Buffer.from(text, 'latin1');

export class Job {
  readonly plan: LastingPlan;
  readonly #origin: JobOrigin;
  readonly #needs: JobNeeds;
  readonly #id: Buffer;
  readonly #abort = new AbortController();
  readonly #relay: Relay;
  readonly #results = new Results();
  readonly #reunion: Reunion;
  readonly #caller: Caller;
  readonly #talk: Talk;
  readonly #holdings: Holdings;
  readonly #times = { queue: 0, scan: 0, early: 0, sync: 0, sent: 0 };
  #state: JobState;
  #prepared: Prepared | undefined;
  #began = performance.now();
  #startedAt = performance.now();
  #phases: Phases = {};
  #returned: Returned = { conflicts: [], missedEnv: [], unseen: '' };
  #deniedPath: RawPath = '';
  #timeout: NodeJS.Timeout | undefined;
  #late: NodeJS.Timeout | undefined;
  #heard = false;
  #parted = false;
  #closed = false;
  /** Its launcher came back for the end. */
  #again = false;

  constructor(origin: JobOrigin, needs: JobNeeds) {
    const plan = origin.from === 'front' ? origin.plan : origin.record.run.plan;
    this.plan = plan;
    this.#origin = origin;
    this.#needs = needs;
    this.#state = stateOf(origin);
    this.#id = Buffer.from(plan.job, 'hex');
    this.#relay = new Relay(this.#id, (message) => needs.client.send(message));
    this.#reunion = new Reunion(needs.patienceMs);
    this.#holdings = new Holdings(origin, needs, {
      results: this.#results,
      reunion: this.#reunion,
    });
    this.#caller = new Caller(plan.launcher, {
      message: (message) => {
        const forward = agentMessageFor(this.#id, message);
        if (forward !== undefined) this.#relay.toAgent(forward);
      },
      gone: () => {
        this.#handle({ type: 'launcherGone' });
      },
      parted: () => {
        this.#parted = true;
        void this.#close();
      },
    });
    this.#talk = new Talk(plan, needs.worker, this.#caller);
    if (origin.from === 'file') {
      this.#began -= Math.max(0, Date.now() - origin.record.run.at);
      this.#startedAt = this.#began;
    }
  }

  get state(): JobState['at'] {
    return this.#state.at;
  }

  /** The launcher is here: from now on the link acts. */
  commit(launcher: Launcher): void {
    this.#began = performance.now();
    this.#caller.serve(launcher);
    if (this.#origin.from === 'front')
      this.#talk.step(`remote: on ${this.#needs.worker}: ${this.#origin.plan.reason}`);
    this.#handle({ type: 'commit' });
  }

  /** Takes up what a link before this one left; its launcher will come, or is gone. */
  recover(): void {
    this.#late = setTimeout(() => {
      this.#handle({ type: 'lost', reason: 'its caller did not come back' });
      this.#caller.part();
    }, this.#needs.patienceMs);
    if (this.#origin.from === 'file' && this.#origin.record.done !== undefined)
      this.#needs.report(this.#origin.record.done);
    this.#caller.expect();
  }

  /** The launcher is back on a new connection and says what it has written; nothing before it heard of the start. */
  resume(launcher: Launcher, message: Extract<ShimMessage, { type: 'resume' | 'rejoin' }>): void {
    clearTimeout(this.#late);
    this.#caller.serve(launcher);
    const started = message.type === 'resume';
    if (started) this.#relay.resumed(message);
    this.#again = this.#state.at === 'over';
    this.#handle({ type: 'resumed', started });
    if (started) this.#limitTime();
  }

  /** Ends the job on somebody's wish (rch cancel, a time limit). What is being placed is let be. */
  cancel(reason: string): void {
    if (this.#state.at === 'returning' || this.#state.at === 'over') return;
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
      this.#state.at === 'returning' ||
      (this.#state.at === 'over' && this.#again)
    )
      this.#attach();
  }

  /** The front has written the end down. */
  heard(): void {
    this.#heard = true;
    void this.#close();
  }

  /** Takes a message of the agent that names this job. */
  agentMessage(message: Extract<AgentMessage, { job: Buffer }>): void {
    if (this.#state.at === 'over' && !this.#again) return;
    switch (message.type) {
      case 'notStarted':
        this.#handle({
          type: 'refused',
          reason: message.reason,
          learn: message.kind === 'no-tool',
        });
        return;
      case 'unknownJob':
        this.#handle({ type: 'lost', reason: `${this.#needs.worker} no longer knows the job` });
        return;
      case 'started':
        this.#results.restart();
        this.#started();
        this.#handle({ type: 'started' });
        return;
      case 'result': {
        const bad = this.#results.add(message);
        if (bad !== undefined) this.#handle({ type: 'lost', reason: bad });
        return;
      }
      case 'ready':
        if (this.#state.at === 'running') this.#holdings.offered(message);
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
        if (forward !== undefined) this.#caller.send(forward);
      }
    }
  }

  #ended(message: Extract<AgentMessage, { type: 'ended' }>): void {
    this.#deniedPath = outsideOfEnd(message) ?? this.#deniedPath;
    this.#handle({ type: 'ended', end: endOf(message, this.#relay.program !== undefined) });
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
      case 'announce':
        this.#announce();
        return;
      case 'run':
        this.#run();
        return;
      case 'attach':
        this.#attach();
        return;
      case 'sayStarted':
        this.#sayStarted();
        return;
      case 'return':
        void this.#takeBack();
        return;
      case 'sayEnd':
      case 'sayLocal':
        this.#sayEnd();
        return;
      case 'sayLost':
        this.#sayLost();
        return;
      case 'killThere':
        this.#needs.client.send({ type: 'kill', job: this.#id });
        return;
      case 'report':
        this.#report();
        return;
      default:
        never(effect);
    }
  }

  async #prepare(): Promise<void> {
    if (this.#origin.from !== 'front') throw new Error('prepared before');
    this.#talk.begin(`preparing ${this.#needs.worker}`);
    const result = await prepare(this.#origin.plan, {
      book: this.#needs.book,
      peer: {
        ...this.#needs.peer,
        progress: (done, total) => {
          this.#talk.progress(done, total);
        },
      },
      signal: this.#abort.signal,
      times: this.#times,
      phase: (text) => {
        this.#needs.phase(text);
        this.#talk.phase(text);
      },
    }).catch((thrown: unknown) => ({ ok: false as const, failure: { reason: messageOf(thrown) } }));
    this.#talk.endPhase();
    if (!result.ok) {
      this.#handle({ type: 'refused', reason: result.failure.reason, learn: false });
      return;
    }
    if (this.#state.at !== 'preparing') {
      for (const held of result.value.roots) held.release();
      return;
    }
    this.#prepared = result.value;
    // Written before anybody is told: whoever comes after us must know of everything that may run.
    if (this.#holdings.prepared(result.value.roots)) this.#handle({ type: 'prepared' });
    else
      this.#handle({
        type: 'refused',
        reason: 'the job cannot be written down (see the log)',
        learn: false,
      });
  }

  /** Before the worker is told: the launcher knows that from now on a later link may have its job. */
  #announce(): void {
    this.#caller.bind();
    this.#caller.send({ type: 'starting' });
  }

  #attach(): void {
    if (this.#needs.client.connected) this.#needs.client.send(this.#relay.attach());
    else this.agentLost();
  }

  /** Told again after a reconnect: the first time counts. */
  #started(): void {
    if (this.#phases.start !== undefined || this.#origin.from === 'file') return;
    const now = performance.now();
    this.#phases = { ...this.#phases, start: now - this.#startedAt };
    this.#startedAt = now;
  }

  #run(): void {
    const prepared = this.#prepared;
    if (prepared === undefined || this.#origin.from !== 'front')
      throw new Error('run before prepare');
    const { plan } = this.#origin;
    const spec = jobSpecOf(plan, prepared.ready, prepared.newest);
    this.#startedAt = performance.now();
    const sent = this.#needs.client.send({
      type: 'run',
      job: this.#id,
      json: Buffer.from(JSON.stringify(spec)),
      argv: plan.argv.map(raw),
      env: plan.env.map(raw),
      cwd: raw(plan.cwd),
      tool: raw(plan.tool),
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
    this.#talk.started();
    this.#relay.start();
    this.#limitTime();
  }

  #limitTime(): void {
    if (this.plan.timeoutMs === 0 || this.#state.at !== 'running') return;
    clearTimeout(this.#timeout);
    const left = this.plan.timeoutMs - (performance.now() - this.#startedAt);
    this.#timeout = setTimeout(
      () => {
        this.#handle({
          type: 'lost',
          reason: `the command took longer than ${this.plan.timeoutMs} ms (execution.timeout_sec)`,
        });
      },
      Math.max(0, left),
    );
  }

  async #takeBack(): Promise<void> {
    clearTimeout(this.#timeout);
    this.#phases = { ...this.#phases, run: performance.now() - this.#startedAt };
    this.#needs.phase('returning');
    this.#talk.step(`returning from ${this.#needs.worker}`);
    this.#talk.begin(`fetching results from ${this.#needs.worker}`);
    const began = performance.now();
    const result = await this.#holdings.take().catch((thrown: unknown) => fail(messageOf(thrown)));
    this.#talk.endPhase();
    this.#phases = { ...this.#phases, return: performance.now() - began };
    if (this.#state.at !== 'returning') return;
    if (!result.ok) {
      const reason = `the results could not be brought back: ${result.failure.reason}`;
      const kept = await this.#holdings.keep(reason);
      this.#handle({ type: 'returnFailed', reason, kept });
      return;
    }
    this.#returned = result.value;
    this.#handle({ type: 'returned' });
  }

  #sayEnd(): void {
    if (this.#state.at !== 'over') return;
    const facts = { conflicts: this.#returned.conflicts, phases: this.#wholePhases() };
    this.#talk.end(this.#state.outcome, facts, this.#relay.program);
  }

  /** From the question on: what the front took counts as queueing. */
  #wholePhases(): Phases {
    const { queue, scan, sync } = this.#times;
    const { waitedMs } = this.plan;
    const total = waitedMs + performance.now() - this.#began;
    return { queue: waitedMs + queue, scan, sync, ...this.#phases, total };
  }

  #sayLost(): void {
    if (this.#state.at !== 'over') return;
    const { outcome } = this.#state;
    const lost = outcome.kind === 'lost' ? outcome : ({ kind: 'abandoned' } as const);
    this.#talk.end(lost, { conflicts: [], phases: {} }, undefined);
  }

  #report(): void {
    if (this.#state.at !== 'over') return;
    const outcome = this.#state.outcome;
    clearTimeout(this.#timeout);
    clearTimeout(this.#late);
    this.#reunion.end();
    this.#abort.abort();
    if (outcome.kind === 'lost' || outcome.kind === 'abandoned') void this.#holdings.giveUp();
    const { queue, scan, early, sync, sent } = this.#times;
    const done: Done = {
      type: 'done',
      job: this.plan.job,
      outcome,
      phases: {
        ...{ queue, scan, early, sync, ...this.#phases },
        total: performance.now() - this.#began,
      },
      bytes: { sent, received: this.#holdings.received, output: this.#relay.output },
      conflicts: [...this.#returned.conflicts],
      missedEnv: [...this.#returned.missedEnv],
      deniedPath: this.#deniedPath || this.#returned.unseen,
    };
    this.#holdings.over(done);
    this.#needs.report(done);
    // Its launcher went, or went on by itself: there is nobody to wait for.
    if (outcome.kind === 'abandoned') this.#caller.part();
  }

  /** Gives back what it holds once the launcher has the end, and forgets the job once the front has it too. */
  async #close(): Promise<void> {
    if (this.#state.at !== 'over' || !this.#parted) return;
    const { outcome } = this.#state;
    await this.#holdings.release(outcome);
    if (!this.#heard || this.#closed) return;
    this.#closed = true;
    const kept = outcome.kind === 'lost' && outcome.kept;
    if (!kept) this.#needs.file.remove();
    this.#needs.closed(kept);
  }
}
