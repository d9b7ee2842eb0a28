/** One configured worker as the front drives it: its link process, state, breaker, and what it was asked. */
import type { LogLevel } from '../../src/base/log-levels.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { Config } from '../../src/config/schema.ts';
import type { WorkerConfig } from '../../src/config/worker-schema.ts';
import type { FrontToLink, KeptJob, LinkToFront, PlannedJob } from '../../src/protocol/ipc.ts';
import {
  closedBreaker,
  jobFailed,
  jobSaidNothing,
  jobSent,
  jobSucceeded,
  type Breaker,
  type BreakerRules,
} from '../lifecycle/breaker.ts';
import { healthOf, type Health, type Mandate } from '../lifecycle/health.ts';
import { transition, type WorkerEvent, type WorkerState } from '../lifecycle/worker.ts';
import { mannersOf } from '../lifecycle/hello.ts';
import type { AboutState } from './about-state.ts';
import { LinkProcess } from './link-process.ts';
import { Backoff, lastLinks, Pulse } from './link-life.ts';
import { LinkRequests } from './link-requests.ts';

/** Tools and paths that are asked for again each time; more are forgotten, and asked for by who needs them. */
const MOST_WANTED = 20_000;

export type WorkerHooks = {
  /** The state changed, or slots, or facts. */
  readonly onChange: () => void;
  readonly onPhase: (job: string, phase: string) => void;
  /** A job waits for the run of another, or ('') for none any more. */
  readonly onJoined: (job: string, to: string) => void;
  readonly onDone: (done: Extract<LinkToFront, { type: 'done' }>) => void;
  /** A job wrote something; only while somebody watches. */
  readonly onOutput: (output: Extract<LinkToFront, { type: 'output' }>) => void;
  /** A new link says what it took over from the one before. */
  readonly onRecovered: (jobs: Extract<LinkToFront, { type: 'recovered' }>['jobs']) => void;
  /** The link died with its knowledge of jobs. */
  readonly onDeath: (how: string) => void;
  /** `job`: whom the line is about. */
  readonly log: (level: LogLevel, what: string, job?: string) => void;
};

export type WorkerOptions = {
  /** What its first link is configured by. */
  readonly config: Config;
  readonly mandate: Mandate;
  /** Whether an earlier link left files of jobs, so that even a disabled worker needs one. */
  readonly leftJobs: () => boolean;
  /** As the configuration says now. */
  readonly breakerRules: () => BreakerRules;
  readonly logLevel: () => LogLevel;
  readonly worker: WorkerConfig;
  readonly entry: string;
  readonly node: string;
  readonly hooks: WorkerHooks;
};

export class Worker {
  readonly #options: WorkerOptions;
  #worker: WorkerConfig;
  #config: Config;
  #state: WorkerState = { kind: 'disabled', since: performance.now() };
  #breaker: Breaker = closedBreaker;
  #mandate: Mandate;
  /** Tools that commands from here asked after. */
  readonly #needed = new Set<string>();
  #link: LinkProcess | undefined;
  #listening = false;
  #watched = false;
  #recovered = false;
  #kept: readonly KeptJob[] = [];
  #pulse: Pulse | undefined;
  readonly #backoff = new Backoff();
  #restart: NodeJS.Timeout | undefined;
  #stopping = false;
  /** A link that was told to leave its jobs to the next. */
  #leaving: Promise<void> | undefined;
  /** It takes no more jobs: what links there still will be end those that run. */
  #over = false;
  #retirement: AbortController | undefined;
  readonly requests: LinkRequests;
  /** Names of tools, and paths, that the agent's facts are about, and that it is asked about. */
  #probed = new Set<string>();
  readonly #wanted = new Set<string>();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#mandate = options.mandate;
    this.#worker = options.worker;
    this.#config = options.config;
    this.requests = new LinkRequests(options.worker.id, (message) => this.#send(message));
  }

  get id(): string {
    return this.#worker.id;
  }
  /** As workers.toml says now. */
  get worker(): WorkerConfig {
    return this.#worker;
  }
  get mandate(): Mandate {
    return this.#mandate;
  }
  get health(): Health {
    return healthOf({
      id: this.id,
      mandate: this.#mandate,
      state: this.#state,
      breaker: this.#breaker,
      lacking: this.#lacking(),
      now: performance.now(),
    });
  }
  get state(): WorkerState {
    return this.#state;
  }
  get breaker(): Breaker {
    return this.#breaker;
  }
  /** Whether launchers can reach its link's socket. */
  get listening(): boolean {
    return this.#listening;
  }
  /** Whether its link has said which jobs it took over; a worker without a link has none to speak of. */
  get recovered(): boolean {
    const unused = this.#mandate === 'disabled' && this.#link === undefined;
    return this.#recovered || !this.#worker.enabled || unused;
  }
  /** Jobs whose results wait there. */
  get kept(): readonly KeptJob[] {
    return this.#kept;
  }
  get probed(): ReadonlySet<string> {
    return this.#probed;
  }

  /** Starts the link, if the worker is enabled. */
  start(): void {
    if (!this.#worker.enabled || this.#stopping || this.#over) return;
    if (this.#mandate === 'disabled' && !this.#options.leftJobs()) return;
    this.#fork();
  }

  #fork(): LinkProcess {
    const link = new LinkProcess({
      entry: this.#options.entry,
      node: this.#options.node,
      worker: this.id,
      onMessage: (message) => {
        if (this.#link === link) this.#receive(message);
      },
      onExit: (how) => {
        if (this.#link === link) this.#died(how);
      },
      onComplaint: (line) => {
        this.#options.hooks.log('warn', line);
      },
    });
    this.#link = link;
    this.#backoff.born();
    this.#apply({ type: 'forked' });
    link.send({ type: 'configure', worker: this.#worker, config: this.#config });
    this.tellLogLevel();
    if (this.#watched) link.send({ type: 'watch', on: true });
    this.#pulse?.stop();
    this.#pulse = new Pulse(mannersOf(this.#worker, this.#config).heartbeatMs, (ms) => {
      this.#options.hooks.log('warn', `its link was silent for ${ms / 1000} s and is killed`);
      link.kill();
    });
    return link;
  }

  /**
   * Takes no more jobs, lets what runs end within `deadlineMs`, and settles when the process is gone. May be called
   * again, with an earlier deadline.
   */
  async stop(deadlineMs: number, reason: string): Promise<void> {
    this.#drain(reason);
    await Promise.all([this.#leaving, this.#link?.stop(deadlineMs)]);
  }

  /**
   * Takes no more jobs; true when the last of them is over, false when it was taken back, or ended otherwise, before that.
   * Also a link that dies meanwhile, or was about to be replaced, has another after it as long as there are jobs.
   */
  async retire(reason: string): Promise<boolean> {
    this.#drain(reason);
    const { signal } = (this.#retirement = new AbortController());
    await this.#leaving;
    const left = (): boolean => this.#worker.enabled && this.#options.leftJobs();
    const next = (): LinkProcess | undefined => this.#link ?? (left() ? this.#fork() : undefined);
    return lastLinks(next, this.#backoff, signal);
  }

  /** Ends its retirement: a link that is made by these settings takes over what runs. */
  takeBack(worker: WorkerConfig, config: Config): void {
    this.#retirement?.abort();
    this.#over = false;
    // Where a link is on its way out already, the next is made by what holds then.
    this.#stopping = this.#leaving !== undefined;
    if (this.#link === undefined) this.#apply({ type: 'disable' });
    this.relink(worker, config);
  }

  #drain(reason: string): void {
    this.#retirement?.abort();
    this.#stopping = this.#over = true;
    clearTimeout(this.#restart);
    this.#apply({ type: 'drain', reason });
  }

  /** Other settings of which no link need know. */
  settle(worker: WorkerConfig): void {
    this.#worker = worker;
  }

  /** Other settings of the same machine: the link leaves its jobs to one that is made by these. */
  relink(worker: WorkerConfig, config: Config): void {
    this.#worker = worker;
    this.#config = config;
    const link = this.#link;
    clearTimeout(this.#restart);
    this.#restart = undefined;
    // Where one is on its way out already, the next is made by what holds then.
    if (this.#stopping) return;
    if (link === undefined) {
      this.start();
      return;
    }
    const reason = 'its configuration changed';
    this.#stopping = true;
    // What it still says comes again, from its files: the next link reports every end that nobody confirmed.
    this.#lost(reason);
    this.#apply({ type: 'forked' });
    this.#options.hooks.onDeath(reason);
    this.#leaving = link.leave().then(() => {
      this.#leaving = undefined;
      if (this.#over) return;
      this.#stopping = false;
      this.start();
    });
  }

  /** Ends the link and lets its jobs run on, for the link of the next daemon. */
  async leave(): Promise<void> {
    this.#drain('rch is restarted');
    await Promise.all([this.#leaving, this.#link?.leave()]);
  }

  /** Does what the user wants of it from now on. */
  order(mandate: Mandate): void {
    this.#mandate = mandate;
    if (mandate !== 'disabled' && this.#link === undefined && this.#restart === undefined)
      this.start();
    this.#options.hooks.onChange();
  }

  /** Ends the link of a disabled worker once none of our `jobs` is there any more. */
  rest(jobs: number): void {
    const link = this.#link;
    if (this.#mandate !== 'disabled' || jobs > 0 || link === undefined) return;
    if (this.#stopping || !this.#recovered) return;
    this.#stopping = true;
    void link.stop(0).then(() => {
      if (this.#over) return;
      this.#stopping = false;
      this.#apply({ type: 'disable' });
      this.start();
    });
  }

  /** Hands a job over; false when there is no link to take it. `memo` comes back by onRecovered. */
  plan(job: PlannedJob, memo: unknown): boolean {
    if (!this.#listening || !this.#send({ type: 'plan', job, memo })) return false;
    this.#breaker = jobSent(this.#breaker, performance.now());
    return true;
  }

  /** Lets the link know which lines the log takes now. */
  tellLogLevel(): void {
    this.#send({ type: 'logLevel', level: this.#options.logLevel() });
  }

  /** Whether somebody wants to see what its jobs write. */
  watch(on: boolean): void {
    this.#watched = on;
    this.#send({ type: 'watch', on });
  }

  cancel(job: string): boolean {
    return this.#send({ type: 'cancel', job });
  }

  /** Tries to connect at once, whatever the backoff. */
  hurry(): void {
    if (this.#link !== undefined) this.#send({ type: 'connect' });
    else if (this.#restart !== undefined && !this.#stopping) {
      clearTimeout(this.#restart);
      this.#restart = undefined;
      this.start();
    }
  }

  /** Commands from here need these tools. */
  needs(tools: readonly string[]): void {
    for (const tool of tools) this.#needed.add(tool);
  }

  #lacking(): string[] {
    if (this.#state.kind !== 'connected') return [];
    const there = new Set(this.#state.facts.tools.map(({ name }) => name));
    return [...this.#needed].filter((tool) => this.#probed.has(tool) && !there.has(tool));
  }

  /** What is known of it may be no longer so: it is asked before the next command goes there. */
  doubt(): void {
    this.#probed = new Set();
  }

  /** Takes its facts anew, with these tools and paths besides those of before. */
  async probe(tools: readonly string[], deadlineMs: number): Promise<Result<void>> {
    if (this.#wanted.size > MOST_WANTED) this.#wanted.clear();
    for (const tool of tools) this.#wanted.add(tool);
    const asked = [...this.#wanted];
    const reply = await this.requests.ask(
      (request) => ({ type: 'probe', request, tools: asked }),
      deadlineMs,
    );
    if (!reply.ok) return reply;
    this.#probed = new Set(asked);
    return ok(undefined);
  }

  succeeded(): void {
    this.#breaker = jobSucceeded();
  }
  failed(weight: number): void {
    const failed = { at: performance.now(), weight };
    this.#breaker = jobFailed(this.#breaker, failed, this.#options.breakerRules());
  }
  saidNothing(): void {
    this.#breaker = jobSaidNothing(this.#breaker);
  }

  #send(message: FrontToLink): boolean {
    return this.#link?.send(message) ?? false;
  }

  #apply(event: WorkerEvent): void {
    const before = this.#state.kind;
    this.#state = transition(this.#state, event, performance.now());
    if (this.#state.kind !== before) {
      const why =
        'reason' in this.#state && this.#state.reason !== '' ? `: ${this.#state.reason}` : '';
      this.#options.hooks.log('info', `${before} → ${this.#state.kind}${why}`);
    }
    this.#options.hooks.onChange();
  }

  #receive(message: LinkToFront): void {
    this.#pulse?.heard();
    switch (message.type) {
      case 'beat':
        return;
      case 'recovered':
        this.#tookOver(message.jobs);
        return;
      case 'kept':
        this.#kept = message.jobs;
        return;
      case 'probed':
        this.#apply({ type: 'probed', facts: message.facts });
        this.requests.answered(message.request, ok(message.facts));
        return;
      case 'fetched':
        this.requests.answered(message.request, ok(message));
        return;
      case 'collected':
        this.requests.answered(message.request, ok(message.collected));
        return;
      case 'benchmarked':
        this.requests.answered(message.request, ok(message.facts));
        return;
      case 'looked':
        this.requests.answered(message.request, ok(message.told));
        return;
      case 'failed':
        this.requests.answered(message.request, fail(message.reason));
        return;
      case 'phase':
        this.#options.hooks.onPhase(message.job, message.phase);
        return;
      case 'log':
        this.#options.hooks.log(message.level, message.what, message.job);
        return;
      case 'joined':
        this.#options.hooks.onJoined(message.job, message.to);
        return;
      case 'output':
        this.#options.hooks.onOutput(message);
        return;
      case 'done':
        this.#options.hooks.onDone(message);
        this.#send({ type: 'heard', job: message.job });
        return;
      default:
        this.#hear(message);
    }
  }

  /** What the link says of the worker's state. */
  #hear(message: AboutState): void {
    switch (message.type) {
      case 'listening':
        this.#listening = true;
        this.#apply(message);
        return;
      case 'connected':
        this.#connected(message);
        return;
      case 'slots':
        this.#apply({ type: 'slots', slots: message, freeBytes: message.freeBytes });
        return;
      case 'connecting':
      case 'vitals':
      case 'silent':
        this.#apply(message);
        return;
      case 'clock': {
        const { offset, step } = message;
        this.#apply({ type: 'clock', offset: BigInt(offset), step: BigInt(step) });
        return;
      }
      case 'uploading':
        this.#apply({ type: 'uploading', upload: message });
        return;
      case 'disconnected':
        this.#apply(message);
        this.requests.failAll(`${this.id} went away: ${message.reason}`);
        return;
    }
  }

  #tookOver(jobs: Extract<LinkToFront, { type: 'recovered' }>['jobs']): void {
    this.#recovered = true;
    this.#options.hooks.onRecovered(jobs);
    this.#options.hooks.onChange();
  }

  #connected(message: Extract<LinkToFront, { type: 'connected' }>): void {
    // Another agent may answer than before: what was asked of that one says nothing.
    const { tools, paths = {} } = message.facts;
    this.#probed = new Set([...tools.map(({ name }) => name), ...Object.keys(paths)]);
    this.#apply({
      type: 'connected',
      facts: message.facts,
      clockOffset: BigInt(message.clockOffset),
      roundTrip: message.roundTrip,
    });
  }

  /** There is no link that could be spoken to. */
  #lost(how: string): void {
    this.#link = undefined;
    this.#listening = false;
    this.#recovered = false;
    this.#pulse?.stop();
    this.requests.failAll(how);
  }

  #died(how: string): void {
    this.#lost(how);
    this.#options.hooks.onDeath(how);
    if (this.#stopping) return;
    this.#apply({ type: 'died', reason: how });
    this.#restart = setTimeout(() => {
      this.#restart = undefined;
      this.start();
    }, this.#backoff.longer());
  }
}
