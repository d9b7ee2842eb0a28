/** One job from the launcher's commit to its end, over several links if need be: acts on what job-state.ts decides. */
import { fail, messageOf, never } from '../../src/base/result.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { LastingPlan } from '../../src/protocol/ipc.ts';
import type { ShimMessage } from '../../src/protocol/shim.ts';
import { runMessageOf } from '../exec/spec.ts';
import type { Prepared } from '../sync/prepare.ts';
import { Caller } from './caller.ts';
import { Holdings } from './holdings.ts';
import { JobHooks } from './job-hooks.ts';
import { doneOf } from './job-done.ts';
import type { JobNeeds } from './job-needs.ts';
import { endOf, resultsExpected, stateOf, type JobOrigin } from './job-origin.ts';
import { Interruption } from './interruption.ts';
import { JobTimes } from './job-times.ts';
import { mayRun, transition, type JobEffect, type JobEvent, type JobState } from './job-state.ts';
import { isForsaken } from './forsaken.ts';
import type { Launcher } from './launchers.ts';
import { preparing } from './preparing.ts';
import { meaningOf } from './refusals.ts';
import { agentMessageFor, Relay } from './relay.ts';
import { Results } from './results.ts';
import type { Returned } from './returning.ts';
import { Reunion } from './reunion.ts';
import { outputOf, sharedOf, tellShared } from './shared-run.ts';
import { Sharing } from './sharing.ts';
import { Talk } from './talk.ts';
import type { Shared } from './twins.ts';

export class Job {
  readonly plan: LastingPlan;
  readonly #origin: JobOrigin;
  readonly #needs: JobNeeds;
  readonly #id: Buffer;
  readonly #abort = new AbortController();
  readonly #relay: Relay;
  readonly #results: Results;
  readonly #reunion: Reunion;
  readonly #caller: Caller;
  readonly #talk: Talk;
  readonly #holdings: Holdings;
  readonly #hooks: JobHooks;
  readonly #sharing: Sharing;
  readonly #times = new JobTimes();
  readonly #interruption: Interruption;
  #state: JobState;
  #prepared: Prepared | undefined;
  /** Another job's run, which was this one's too. */
  #shared: Shared | undefined;
  #returned: Returned = { conflicts: [], missedEnv: [], unseen: '' };
  #late: NodeJS.Timeout | undefined;
  #heard = false;
  #parted = false;
  #closed = false;
  /** Cancelled before its launcher came. */
  #unwanted = false;
  /** Its launcher came back for the end. */
  #again = false;

  constructor(origin: JobOrigin, needs: JobNeeds) {
    const plan = origin.from === 'front' ? origin.plan : origin.record.run.plan;
    this.plan = plan;
    this.#origin = origin;
    this.#needs = needs;
    this.#state = stateOf(origin);
    this.#id = Buffer.from(plan.job, 'hex');
    this.#interruption = new Interruption(this.#id, needs.client, this.#handle);
    this.#relay = new Relay(this.#id, needs.client, this.#interruption);
    this.#results = new Results(resultsExpected(origin));
    this.#reunion = new Reunion(needs.patienceMs);
    const told = { results: this.#results, reunion: this.#reunion };
    this.#holdings = new Holdings(origin, needs, told);
    this.#caller = new Caller(plan.launcher, {
      message: (message) => {
        const forward = agentMessageFor(this.#id, message);
        if (forward === undefined || this.#shared !== undefined) return;
        if (!this.#sharing.heard(forward)) this.#relay.toAgent(forward);
      },
      bound: this.#on({ type: 'bound' }),
      gone: () => {
        // Where others wait for its run, that needs no word of its own launcher's any more.
        this.#handle({ type: this.#sharing.callerGone() ? 'bound' : 'launcherGone' });
      },
      parted: () => {
        this.#parted = true;
        void this.#close();
      },
    });
    this.#talk = new Talk(plan, needs, this.#caller);
    this.#sharing = new Sharing(plan.job, {
      twins: needs.twins,
      caller: this.#caller,
      relay: this.#relay,
      plan: origin.from === 'front' ? origin.plan : undefined,
      joined: needs.joined,
      deserted: this.#on({ type: 'launcherGone' }),
    });
    this.#hooks = new JobHooks(origin, needs.worker, this.#abort.signal);
    if (origin.from === 'file') {
      this.#shared = sharedOf(origin.record.shared);
      this.#times.tookUp(origin.record.run.at);
    }
  }

  get state(): JobState['at'] {
    return this.#state.at;
  }

  /** The launcher is here: from now on the link acts. `refusal`: why it is to ask anew. */
  commit(launcher: Launcher, refusal?: string): void {
    this.#times.committed();
    this.#caller.serve(launcher);
    if (refusal !== undefined) {
      this.#refuse(refusal, { again: true, fault: false });
      return;
    }
    if (this.#origin.from === 'front')
      this.#talk.step(`remote: on ${this.#needs.worker}: ${this.#origin.plan.reason}`);
    this.#handle({ type: 'commit' });
    if (this.#unwanted) this.interrupt();
  }

  /** Its launcher never came: it ended, or runs the command here. */
  forsake(): void {
    if (this.#state.at === 'planned') this.#handle({ type: 'launcherGone' });
  }

  /** Takes up what a link before this one left; its launcher will come, or is gone. */
  recover(): void {
    this.#late = setTimeout(() => {
      this.#lose('its caller did not come back');
      this.#caller.part();
    }, this.#needs.patienceMs);
    if (this.#origin.from === 'file' && this.#origin.record.done !== undefined)
      this.#needs.report(this.#origin.record.done);
    // The link before may have gone before the agent heard of it.
    if (this.#state.at === 'over' && isForsaken(this.#state.outcome)) this.#act('killThere');
    this.#caller.expect();
  }

  /** The launcher is back on a new connection and says what it has written; nothing before it heard of the start. */
  resume(launcher: Launcher, message: Extract<ShimMessage, { type: 'resume' | 'rejoin' }>): void {
    clearTimeout(this.#late);
    this.#caller.serve(launcher);
    const started = message.type === 'resume';
    if (started) this.#relay.resumed(message);
    if (this.#shared !== undefined) {
      this.#tellShared(this.#shared, started);
      return;
    }
    this.#again = this.#state.at === 'over';
    this.#handle({ type: 'resumed', started });
    if (started) this.#limitTime();
  }

  /** `rch cancel`: what is being placed is let be, what a worker that is away holds stays there. */
  interrupt(): void {
    const { at } = this.#state;
    if (at === 'planned') this.#unwanted = true;
    // Until it has heard of a start an end means nothing to its launcher.
    if (at === 'announcing' || at === 'starting') this.#talk.started();
    if (at !== 'planned' && !this.#sharing.heard(this.#interruption.signal))
      this.#interruption.begin(at === 'running');
    else this.#handle({ type: 'bound' });
  }

  /** Ends the job on somebody's wish (a time limit, the end of the daemon). What is being placed is let be. */
  cancel(reason: string): void {
    if (this.#state.at === 'returning' || this.#state.at === 'over') return;
    if (mayRun(this.#state)) this.#lose(reason);
    else this.#refuse(reason, { fault: false });
  }

  agentLost(): void {
    this.#relay.pause();
    if (this.#state.at !== 'starting' && this.#state.at !== 'running') return;
    this.#reunion.begin(() => {
      this.#lose(`the connection to ${this.#needs.worker} did not come back`);
    });
  }

  agentBack(): void {
    this.#reunion.end();
    const { at } = this.#state;
    const runs = at === 'starting' || at === 'running' || at === 'returning';
    if (runs || (at === 'over' && this.#again)) this.#attach();
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
        this.#refuse(message.reason, meaningOf(message.kind));
        return;
      case 'unknownJob':
        this.#lose(`${this.#needs.worker} no longer knows the job`);
        return;
      case 'started':
        this.#results.restart();
        if (this.#origin.from === 'front') this.#times.started();
        this.#handle({ type: 'started' });
        return;
      case 'result':
        this.#lose(this.#results.add(message));
        return;
      case 'ready':
        if (this.#state.at === 'running' && this.#needs.early) this.#holdings.offered(message);
        return;
      case 'execHere':
        if (!this.#relay.execHere(message, this.plan.catchExec))
          this.#lose('the worker names a program that is not of this command');
        return;
      case 'ended':
        this.#sharing.ended();
        this.#lose(this.#results.ended(message));
        this.#handle({ type: 'ended', end: endOf(message, this.#relay.program !== undefined) });
        return;
      default: {
        // Whatever the tool says, it says after its start, also when the word of that is still on its way.
        if (this.#state.at === 'starting') this.#handle({ type: 'started' });
        if (message.type === 'out' && this.#relay.floods(message)) {
          this.#lose('the worker sends more output than was asked for');
          return;
        }
        if (message.type === 'out') this.#sharing.wrote(message);
        const forward = this.#relay.fromAgent(message);
        if (forward !== undefined) this.#caller.send(forward);
      }
    }
  }

  #on(event: JobEvent): () => void {
    return () => {
      this.#handle(event);
    };
  }

  readonly #handle = (event: JobEvent): void => {
    const next = transition(this.#state, event);
    this.#state = next.state;
    for (const effect of next.effects) this.#act(effect);
  };

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
      case 'hurry':
        this.#reunion.giveUp();
        return;
      case 'replay':
        this.#announce();
        if (this.#shared !== undefined) this.#tellShared(this.#shared, false);
        return;
      case 'sayEnd':
      case 'sayLocal':
        this.#sayEnd();
        return;
      case 'sayLost':
        if (this.#state.at === 'over') this.#talk.lost(this.#state.outcome);
        return;
      case 'killThere':
        this.#needs.lastWords.say({ type: 'kill', job: this.#id });
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
    if (await this.#joins()) return;
    const result = await preparing(this.#origin.plan, {
      ...this.#needs,
      ...{ signal: this.#abort.signal, times: this.#times, talk: this.#talk },
      hook: (plan) => this.#hooks.beforeTransfer(plan),
      stop: (reason, fault) => {
        this.#abort.abort();
        this.#refuse(reason, { again: true, fault });
      },
    });
    if (!result.ok) {
      const kind = 'kind' in result.failure ? result.failure.kind : undefined;
      // What is wrong with the project is so for every worker.
      const theirs = kind !== undefined || !this.#needs.client.connected;
      this.#refuse(result.failure.reason, { again: theirs, fault: theirs });
      return;
    }
    if (this.#state.at !== 'preparing') {
      for (const held of result.value.roots) held.release();
      return;
    }
    this.#prepared = result.value;
    this.#sharing.prepared(result.value.roots);
    // Written before anybody is told: whoever comes after us must know of everything that may run.
    const written = this.#holdings.prepared(result.value.roots);
    if (written.ok) this.#handle({ type: 'prepared' });
    else this.#refuse(written.failure.reason, { fault: false });
  }

  /** Whether the run of another job serves this one, or its launcher is gone: then there is nothing to prepare. */
  async #joins(): Promise<boolean> {
    const shared = await this.#times.spent('queue', () => this.#sharing.join(this.#abort.signal));
    if (this.#state.at !== 'preparing') return true;
    if (shared === undefined) return false;
    this.#shared = shared;
    // As for a run: whoever comes after us must know what the launcher is about to be told.
    this.#holdings.shared(shared);
    this.#handle({ type: 'shared', end: shared.end });
    return true;
  }

  /** `started`: the launcher was told of the start already. */
  #tellShared(shared: Shared, started: boolean): void {
    if (!started) this.#talk.started();
    tellShared(shared, this.#caller, (stream) => this.#relay.written(stream));
    this.#relay.program = shared.program;
    this.#sayEnd();
  }

  /** Before the worker is told: the launcher knows that from now on a later link may have its job. */
  #announce(): void {
    this.#caller.bind();
    this.#talk.starting();
  }

  #attach(): void {
    if (this.#needs.client.connected) this.#needs.client.send(this.#relay.attach());
    else this.agentLost();
  }

  #run(): void {
    const prepared = this.#prepared;
    if (prepared === undefined || this.#origin.from !== 'front')
      throw new Error('run before prepare');
    this.#times.ordered();
    if (this.#needs.client.send(runMessageOf(this.#origin.plan, prepared))) return;
    this.#refuse(`the connection to ${this.#needs.worker} was lost`, { again: true });
  }

  #lose(reason: string | undefined): void {
    if (reason !== undefined) this.#handle({ type: 'lost', reason });
  }

  /** `again`: another worker may do better. `fault`: it speaks against this one. */
  #refuse(reason: string, { learn = false, again = false, fault = true } = {}): void {
    this.#handle({ type: 'refused', reason, learn, again, fault });
  }

  #sayStarted(): void {
    this.#needs.phase('running');
    this.#talk.started();
    this.#relay.start();
    this.#limitTime();
  }

  #limitTime(): void {
    if (this.#state.at !== 'running') return;
    const reason = `it ran into its time limit of ${this.plan.timeoutMs / 1000} s (execution.timeout_sec)`;
    this.#times.limit(this.plan.timeoutMs, this.#on({ type: 'timeout', reason }));
  }

  async #takeBack(): Promise<void> {
    this.#times.ended();
    this.#needs.phase('returning');
    this.#talk.step(`returning from ${this.#needs.worker}`);
    this.#talk.begin(`fetching results from ${this.#needs.worker}`);
    const result = await this.#times
      .spent('return', () => this.#holdings.take())
      .catch((thrown: unknown) => fail(messageOf(thrown)));
    this.#talk.endPhase();
    if (this.#state.at !== 'returning') return;
    if (!result.ok) {
      const reason = `the results could not be brought back: ${result.failure.reason}`;
      this.#handle({ type: 'returnFailed', reason, kept: await this.#holdings.keep(reason) });
      return;
    }
    this.#returned = result.value;
    await this.#hooks.afterReturn(this.#state.end);
    this.#handle({ type: 'returned' });
  }

  #sayEnd(): void {
    if (this.#state.at !== 'over') return;
    const phases = this.#times.whole(this.plan.waitedMs);
    const facts = { conflicts: this.#returned.conflicts, phases, hooks: this.#hooks.troubles };
    this.#talk.end(this.#state.outcome, facts, this.#relay.program);
  }

  #report(): void {
    if (this.#state.at !== 'over') return;
    const outcome = this.#state.outcome;
    this.#times.unlimit();
    clearTimeout(this.#late);
    this.#interruption.over();
    this.#reunion.end();
    this.#abort.abort();
    this.#sharing.over(outcome);
    if (isForsaken(outcome)) void this.#holdings.giveUp();
    const done = doneOf(this.plan.job, outcome, {
      phases: this.#times.done,
      bytes: {
        ...this.#times.bytes,
        received: this.#holdings.received,
        output: this.#shared === undefined ? this.#relay.output : outputOf(this.#shared),
      },
      returned: this.#returned,
      deniedPath: this.#results.outside,
      hooks: this.#hooks.troubles,
    });
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
    this.#sharing.settled();
    if (!this.#heard || this.#closed) return;
    this.#closed = true;
    const kept = outcome.kind === 'lost' && outcome.kept;
    if (!kept) this.#needs.file.remove();
    this.#needs.closed(kept);
  }
}
