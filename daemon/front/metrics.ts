/**
 * What Prometheus is told (the plan's chapter 16.1 gives the first eight names and their buckets). Loaded only while
 * metrics.enabled is on. Labels are ids of workers and words of ours: no command, folder or argument.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StatusReply } from '../../src/protocol/methods.ts';
import type { JournalLine } from '../journal/record.ts';
import type { EndKind, JobWatcher } from './job-watcher.ts';

/** ms between two looks at the event loop's clock. */
const LAG_RESOLUTION = 20;
const SHORT = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const TRANSFER = [0.5, 1, 2, 5, 10, 30, 60];
const COMPILE = [1, 5, 10, 30, 60, 120, 300];
const PHASE = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900];

const phaseNames = ['queue', 'scan', 'sync', 'start', 'run', 'return', 'total'] as const;

/** The label `outcome` of a job on a worker. */
function outcomeOf({ exit }: JournalLine, how: EndKind): string {
  switch (how) {
    case 'exited':
      return exit === 0 ? 'success' : 'failure';
    case 'signaled':
      return 'signal';
    case 'execHere':
      return 'program_here';
    case 'again':
      return 'returned';
    case 'timedOut':
      return 'timed_out';
    case 'here':
    case 'inLine':
    case 'cancelled':
    case 'abandoned':
    case 'lost':
      return how;
  }
}

/** Whether it was run on a worker, to whatever end. */
const ranThere = (how: EndKind): boolean =>
  ['exited', 'signaled', 'execHere', 'timedOut', 'lost'].includes(how);

function makeCounters(registers: Registry[]) {
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
    new Counter({ name: `rch_${name}`, help, labelNames, registers });
  return {
    compilations: counter('compilations_total', 'Commands that may be worth a worker'),
    remote: counter('compilations_remote_total', 'Commands that ran on a worker'),
    fallback: counter(
      'compilations_local_fallback_total',
      'Commands that should have gone to a worker and ran here',
    ),
    fallbacks: counter('fallbacks_total', 'The same by cause', 'cause'),
    commands: counter(
      'commands_total',
      'All commands that came through the shims, by where it was decided that they run',
      'decision',
    ),
    jobs: counter('jobs_total', 'Jobs sent to a worker, by how they ended', 'worker', 'outcome'),
    bytes: counter('transfer_bytes_total', 'Bytes on the wire', 'worker', 'direction'),
    tree: counter('tree_bytes_total', 'Bytes of the trees that jobs needed, sent or not', 'worker'),
    cache: counter(
      'cache_requests_total',
      'Jobs whose tree the worker had already (tree), or that the run of another served (run)',
      'cache',
      'result',
    ),
  };
}

function makeHistograms(registers: Registry[]) {
  const histogram = <L extends string>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: L[]
  ): Histogram<L> => new Histogram({ name: `rch_${name}`, help, buckets, labelNames, registers });
  return {
    hook: histogram(
      'hook_latency_seconds',
      "From a shim's question to its answer, waiting in line included",
      SHORT,
    ),
    transfer: histogram('transfer_latency_seconds', 'To bring a project up to date', TRANSFER),
    compile: histogram('compile_latency_seconds', 'The tool itself on a worker', COMPILE),
    phase: histogram('phase_seconds', 'Each phase of jobs on workers', PHASE, 'phase'),
    local: histogram('local_seconds', 'Heavy commands that ran here', PHASE),
  };
}

function makeGauges(registers: Registry[]) {
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]): Gauge<L> =>
    new Gauge({ name: `rch_${name}`, help, labelNames, registers });
  return {
    available: gauge('worker_slots_available', 'Free slots', 'worker'),
    slots: gauge('worker_slots', 'Slots there are', 'worker'),
    speed: gauge('worker_speed_score', 'Score of its benchmark', 'worker'),
    up: gauge('worker_up', '1: it is healthy or degraded, and connected', 'worker'),
    health: gauge('worker_health', '1 for what rch status says of it', 'worker', 'health'),
    jobs: gauge('worker_jobs', 'Jobs of this machine there', 'worker'),
    load: gauge('worker_load_cores', 'Cores that others keep busy there', 'worker'),
    way: gauge('worker_round_trip_seconds', 'There and back', 'worker'),
    disk: gauge('worker_disk_free_bytes', 'Free there', 'worker'),
    queue: gauge('queue_length', 'Commands in line, for a worker or for their turn here'),
    oldest: gauge('queue_oldest_seconds', 'How long the one that waits longest has waited'),
    leases: gauge('local_leases', 'Heavy commands that run here'),
    cores: gauge('local_cores_used', 'Cores lent to heavy commands here'),
    limit: gauge('local_cores_limit', 'Cores that there are to lend here'),
    lag: gauge('event_loop_lag_seconds', 'Since the last scrape', 'quantile'),
    memory: gauge('memory_resident_bytes', 'Of the front, which answers the shims'),
    uptime: gauge('uptime_seconds', 'Since the daemon started'),
    info: gauge('info', '1', 'version'),
  };
}

export class Metrics implements JobWatcher {
  readonly #registry = new Registry();
  readonly #counters = makeCounters([this.#registry]);
  readonly #histograms = makeHistograms([this.#registry]);
  readonly #gauges = makeGauges([this.#registry]);
  readonly #lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION });
  readonly #status: () => StatusReply;

  constructor(status: () => StatusReply) {
    this.#status = status;
    // Whoever asks before the first tick finds the name already.
    for (const quantile of ['0.5', '0.99', '1']) this.#gauges.lag.set({ quantile }, 0);
    this.#lag.enable();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  readonly decided: JobWatcher['decided'] = (line, { light, fallback, answeredMs }) => {
    const { commands, compilations } = this.#counters;
    commands.inc({ decision: line.decision });
    if (!light) compilations.inc();
    if (fallback !== undefined) this.#fell(fallback);
    if (answeredMs !== undefined) this.#histograms.hook.observe(answeredMs / 1000);
  };

  readonly ended: JobWatcher['ended'] = (line, how) => {
    const { phases } = line;
    const { local } = this.#histograms;
    if (how === 'here' && phases.run !== undefined) local.observe(phases.run / 1000);
    if (how === 'here' || how === 'inLine') return;
    const worker = line.worker ?? '';
    this.#counters.jobs.inc({ worker, outcome: outcomeOf(line, how) });
    if (ranThere(how)) this.#ran(line, worker);
  };

  #fell(cause: string): void {
    this.#counters.fallback.inc();
    this.#counters.fallbacks.inc({ cause });
  }

  #ran({ phases, bytes, joined }: JournalLine, worker: string): void {
    const { remote, bytes: moved, tree, cache } = this.#counters;
    const { phase, transfer, compile } = this.#histograms;
    remote.inc();
    moved.inc({ worker, direction: 'sent' }, bytes.sent);
    moved.inc({ worker, direction: 'received' }, bytes.received);
    moved.inc({ worker, direction: 'output' }, bytes.output);
    tree.inc({ worker }, bytes.tree ?? 0);
    cache.inc({ cache: 'run', result: joined === undefined ? 'miss' : 'hit' });
    if (joined === undefined)
      cache.inc({ cache: 'tree', result: bytes.sent === 0 ? 'hit' : 'miss' });
    for (const name of phaseNames) {
      const ms = phases[name];
      if (ms !== undefined) phase.observe({ phase: name }, ms / 1000);
    }
    if (phases.sync !== undefined) transfer.observe(phases.sync / 1000);
    if (phases.run !== undefined) compile.observe(phases.run / 1000);
  }

  /** In Prometheus's text format. */
  async text(): Promise<string> {
    const status = this.#status();
    this.#workers(status.workers);
    this.#here(status);
    return this.#registry.metrics();
  }

  stop(): void {
    this.#lag.disable();
    this.#registry.clear();
  }

  #workers(workers: StatusReply['workers']): void {
    const { available, slots, speed, up, health, jobs, load, way, disk } = this.#gauges;
    // A worker that was taken out is told of no more.
    for (const gauge of [available, slots, speed, up, health, jobs, load, way, disk]) gauge.reset();
    for (const each of workers) {
      const { id: worker } = each;
      const live = each.health === 'healthy' || each.health === 'degraded';
      up.set({ worker }, live ? 1 : 0);
      health.set({ worker, health: each.health }, 1);
      jobs.set({ worker }, each.jobs);
      if (each.slots !== null) {
        slots.set({ worker }, each.slots.total);
        available.set({ worker }, Math.max(0, each.slots.total - each.slots.used));
      }
      if (each.speed !== null) speed.set({ worker }, each.speed);
      if (each.load !== null) load.set({ worker }, each.load);
      if (each.roundTripMs !== null) way.set({ worker }, each.roundTripMs / 1000);
      if (each.facts !== null) disk.set({ worker }, each.facts.diskFree);
    }
  }

  #here({ version, queue, local, memory, uptimeMs }: StatusReply): void {
    const gauges = this.#gauges;
    gauges.queue.set(queue.length);
    gauges.oldest.set(Math.max(0, ...queue.map(({ waitedMs }) => waitedMs)) / 1000);
    gauges.leases.set(local.leases.length);
    gauges.cores.set(local.used);
    gauges.limit.set(local.limit);
    gauges.memory.set(memory);
    gauges.uptime.set(uptimeMs / 1000);
    gauges.info.set({ version }, 1);
    this.#measureLag();
  }

  /** What is measured is the time between two ticks; what is above the time they should be apart is lag. */
  #measureLag(): void {
    const late = (ns: number): number => Math.max(0, ns / 1e9 - LAG_RESOLUTION / 1000);
    const ticks = this.#lag;
    const { lag } = this.#gauges;
    if (ticks.count > 0) {
      lag.set({ quantile: '0.5' }, late(ticks.percentile(50)));
      lag.set({ quantile: '0.99' }, late(ticks.percentile(99)));
      lag.set({ quantile: '1' }, late(ticks.max));
    }
    ticks.reset();
  }
}
