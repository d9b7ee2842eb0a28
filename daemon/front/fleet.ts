/** All configured workers, kept as the configuration says. */
import { join } from 'node:path';
import { jobsFolder, type Layout } from '../../src/base/layout.ts';
import type { Result } from '../../src/base/result.ts';
import { nodeOf } from '../../src/client/daemon-process.ts';
import type { Config } from '../../src/config/schema.ts';
import type { WorkerConfig } from '../../src/config/worker-schema.ts';
import { holdsJobs } from '../journal/job-file.ts';
import type { LastSettings } from '../journal/last-settings.ts';
import type { Mandates } from '../journal/mandates.ts';
import type { BreakerRules } from '../lifecycle/breaker.ts';
import type { Mandate } from '../lifecycle/health.ts';
import { Changes } from './changes.ts';
import { Probing, type Late } from './probing.ts';
import { linkKey, placeKey } from './settings.ts';
import { Worker, type WorkerHooks } from './worker.ts';

export type FleetHooks = {
  readonly [
    Name in 'onPhase' | 'onJoined' | 'onDone' | 'onOutput' | 'onRecovered' | 'onDeath' | 'log'
  ]: (worker: Worker, ...rest: Parameters<WorkerHooks[Name]>) => void;
};

/** `[breaker]`, in the units of the breaker. */
export function breakerRulesOf(breaker: Config['breaker']): BreakerRules {
  return {
    window: breaker.windowSec * 1000,
    threshold: breaker.failureThreshold,
    firstPause: breaker.recoveryTimeoutSec * 1000,
    longestPause: breaker.longestPauseSec * 1000,
  };
}

type Member = { readonly place: string; readonly worker: Worker; link: string };
type Leaving = Pick<Member, 'place' | 'worker'>;

export type FleetParts = {
  readonly layout: Layout;
  readonly mandates: Mandates;
  readonly lastSettings: LastSettings;
};

export class Fleet {
  readonly changes = new Changes();
  readonly #probing = new Probing();
  readonly #layout: Layout;
  readonly #mandates: Mandates;
  readonly #lastSettings: LastSettings;
  readonly #hooks: FleetHooks;
  readonly #members = new Map<string, Member>();
  /** Workers that end their last jobs; while one does, none of its name is a member. */
  readonly #leaving = new Map<string, Leaving>();
  #config: Config | undefined;
  #stopping = false;
  #watched = false;

  constructor({ layout, mandates, lastSettings }: FleetParts, hooks: FleetHooks) {
    this.#layout = layout;
    this.#mandates = mandates;
    this.#lastSettings = lastSettings;
    this.#hooks = hooks;
  }

  get(id: string): Worker | undefined {
    return this.#members.get(id)?.worker;
  }

  /** Who has the jobs of a worker, also when it takes no more. */
  holding(id: string): Worker | undefined {
    return this.get(id) ?? this.#leaving.get(id)?.worker;
  }

  /** Whether every link has said which jobs it took over. */
  get allTold(): boolean {
    return this.#every().every((worker) => worker.recovered);
  }

  /** Ends a job; false when no link that may have it can be told. */
  cancel(id: string, job: string): boolean {
    return this.holding(id)?.cancel(job) ?? false;
  }

  /** Whether a worker gets a new link as soon as the one with its old configuration has ended. */
  expects(id: string): boolean {
    return this.#leaving.has(id) && this.#config?.workers.some((each) => each.id === id) === true;
  }

  /** The links to where workers were before their configuration changed, which those to where they are now wait for. */
  outgoing(): Worker[] {
    const workers = [...this.#leaving.values()].map(({ worker }) => worker);
    return workers.filter(({ id }) => this.expects(id));
  }

  all(): Worker[] {
    return [...this.#members.values()].map((member) => member.worker);
  }

  #every(): Worker[] {
    return [...this.all(), ...[...this.#leaving.values()].map(({ worker }) => worker)];
  }

  /**
   * Takes up what the daemon before this one let run where `config` has no such worker, or has it elsewhere. To be called
   * once, before `configure`.
   */
  recall(config: Config): void {
    for (const settings of this.#lastSettings.workers) {
      const { id } = settings;
      const place = placeKey(settings, config);
      const now = config.workers.find((each) => each.id === id);
      const stays = now !== undefined && placeKey(now, config) === place;
      if (!stays && this.#leftJobs(id))
        this.#retire(id, { place, worker: this.#make(config, settings) });
    }
  }

  /**
   * Makes the fleet what `config` says. A link that is configured otherwise now leaves its jobs to one that is made
   * anew, also where the worker was gone for a while; one of a worker that is elsewhere now, or gone, ends when its last
   * job does.
   */
  configure(config: Config): void {
    if (this.#stopping) return;
    const louder = config.general.logLevel !== this.#config?.general.logLevel;
    this.#config = config;
    for (const [id, member] of this.#members) {
      const settings = config.workers.find((each) => each.id === id);
      if (settings === undefined || placeKey(settings, config) !== member.place) {
        this.#members.delete(id);
        this.#retire(id, member);
      } else this.#adjust(member, settings, config);
    }
    if (louder) for (const worker of this.#every()) worker.tellLogLevel();
    for (const settings of config.workers) {
      const { id } = settings;
      if (this.#members.has(id)) continue;
      const leaving = this.#leaving.get(id);
      if (leaving === undefined) this.#add(config, id);
      else if (leaving.place === placeKey(settings, config)) this.#takeBack(settings, config);
      // The old link still holds the socket; when it is gone, the newest configuration counts.
    }
    this.#remember();
    this.changes.ring();
  }

  /** What the user wants of a worker, now and after a restart of this daemon. */
  order(worker: Worker, mandate: Mandate): Result<undefined> {
    const kept = this.#mandates.set(worker.id, mandate);
    if (kept.ok) worker.order(mandate);
    return kept;
  }

  /**
   * Makes sure that each connected worker which `could` take a command has told, not long ago, of these tools and paths.
   */
  ensureProbed(names: readonly string[], could: (id: string) => boolean): Promise<Late> {
    const tools = names.filter((name) => !name.startsWith('/'));
    for (const worker of this.all()) worker.needs(tools);
    return this.#probing.ensure(() => this.all(), { tools: names, could });
  }

  /** Whether somebody wants to see what jobs write. */
  watch(on: boolean): void {
    this.#watched = on;
    for (const worker of this.#every()) worker.watch(on);
  }

  /** Ends every link within `deadlineMs`. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const reason = 'rch is stopping';
    await Promise.all(this.#every().map((worker) => worker.stop(deadlineMs, reason)));
  }

  /** Ends every link at once; what runs is left to the links of the next daemon. */
  async leave(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#every().map((worker) => worker.leave()));
  }

  #adjust(member: Member, settings: WorkerConfig, config: Config): void {
    const link = linkKey(settings, config);
    if (link === member.link) member.worker.settle(settings);
    else member.worker.relink(settings, config);
    member.link = link;
  }

  /** Has a worker that takes no more jobs end those that it has; then the newest configuration counts. */
  #retire(id: string, { place, worker }: Leaving): void {
    this.#leaving.set(id, { place, worker });
    void worker.retire('its configuration changed').then((gone) => {
      if (!gone || this.#leaving.get(id)?.worker !== worker) return;
      this.#leaving.delete(id);
      if (this.#stopping) return;
      if (this.#config !== undefined) this.#add(this.#config, id);
      this.#remember();
    });
  }

  /** Whether a link left files of jobs. */
  #leftJobs(id: string): boolean {
    return holdsJobs(jobsFolder(this.#layout, id));
  }

  /** Lets the daemon after this one know where jobs are. */
  #remember(): void {
    const here = this.#every().map(({ worker }) => worker);
    const ids = new Set(here.map(({ id }) => id));
    const left = this.#lastSettings.workers.filter(({ id }) => !ids.has(id) && this.#leftJobs(id));
    this.#lastSettings.keep([...here, ...left]);
  }

  /** A worker that was gone from the configuration is there again, where it was. */
  #takeBack(settings: WorkerConfig, config: Config): void {
    const { id, transport } = settings;
    const leaving = this.#leaving.get(id);
    // The agent of an embedded one ends with its link: what runs there is let end.
    if (leaving === undefined || transport === 'embedded') return;
    this.#leaving.delete(id);
    this.#members.set(id, { ...leaving, link: linkKey(settings, config) });
    leaving.worker.takeBack(settings, config);
  }

  #add(config: Config, id: string): void {
    const settings = config.workers.find((each) => each.id === id);
    if (settings === undefined) return;
    const worker = this.#make(config, settings);
    const link = linkKey(settings, config);
    this.#members.set(id, { place: placeKey(settings, config), link, worker });
    worker.start();
  }

  #make(config: Config, settings: WorkerConfig): Worker {
    const { id } = settings;
    const hooks: WorkerHooks = {
      onChange: () => {
        this.changes.ring();
      },
      onPhase: (job, phase) => {
        this.#hooks.onPhase(worker, job, phase);
      },
      onJoined: (job, to) => {
        this.#hooks.onJoined(worker, job, to);
      },
      onDone: (done) => {
        this.#hooks.onDone(worker, done);
      },
      onOutput: (output) => {
        this.#hooks.onOutput(worker, output);
      },
      onRecovered: (jobs) => {
        this.#hooks.onRecovered(worker, jobs);
      },
      onDeath: (how) => {
        this.#hooks.onDeath(worker, how);
      },
      log: (level, what, job) => {
        this.#hooks.log(worker, level, what, job);
      },
    };
    const worker = new Worker({
      config,
      mandate: this.#mandates.of(id),
      leftJobs: () => this.#leftJobs(id),
      breakerRules: () => breakerRulesOf((this.#config ?? config).breaker),
      logLevel: () => (this.#config ?? config).general.logLevel,
      worker: settings,
      entry: join(this.#layout.lib, 'link.mjs'),
      node: nodeOf(this.#layout),
      hooks,
    });
    if (this.#watched) worker.watch(true);
    return worker;
  }
}
