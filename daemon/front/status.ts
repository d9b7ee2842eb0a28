/** What the front says of itself and of its workers. */
import { daemonLog, frontSocket, type Layout } from '../../src/base/layout.ts';
import { ownView } from '../../src/base/view.ts';
import type { ConfigOutcome } from '../../src/config/load.ts';
import { describe, told } from '../../src/config/problems.ts';
import type { JobsReply, StatusReply, WorkerStatus } from '../../src/protocol/methods.ts';
import type { History } from '../journal/history.ts';
import { breakerAt } from '../lifecycle/breaker.ts';
import { graveTrouble, type Health } from '../lifecycle/health.ts';
import type { WorkerState } from '../lifecycle/worker.ts';
import type { Book } from './book.ts';
import type { Fleet } from './fleet.ts';
import type { Jobs } from './jobs.ts';
import type { LeaseDesk } from './leases.ts';
import type { Line } from './line.ts';
import type { Seeing } from './seeing.ts';
import type { Settings } from './settings.ts';
import type { SpeedDesk } from './speed-desk.ts';
import type { Worker } from './worker.ts';

export type StatusParts = {
  readonly layout: Layout;
  readonly version: string;
  readonly startedAt: Date;
  readonly settings: Settings;
  readonly fleet: Fleet;
  readonly jobs: Jobs;
  readonly leases: LeaseDesk;
  readonly line: Line;
  readonly book: Book;
  readonly seeing: Seeing;
  readonly speeds: SpeedDesk;
  readonly logTrouble: () => string;
};

export function problemsOf(outcome: ConfigOutcome): StatusReply['config']['problems'] {
  return outcome.ok ? [] : outcome.failure.problems.map(told);
}

/** Whether anything may leave, and what is wrong with the configuration, a line each. */
export function configTroubles(settings: Settings): { enabled: boolean; problems: string[] } {
  const outcome = settings.current();
  const all = [
    ...(outcome.ok ? [] : outcome.failure.problems),
    ...settings.troubles.flatMap((each) => each.problems),
  ];
  return {
    enabled: outcome.ok && outcome.value.config.general.enabled,
    problems: all.map(describe),
  };
}

function wordsOf(health: Health): { reason: string; next: string } {
  if (health.kind === 'healthy') return { reason: '', next: '' };
  if (health.kind !== 'degraded') return { reason: health.reason, next: health.next };
  const { reason = '', next = '' } = graveTrouble(health) ?? {};
  return { reason, next };
}

export function factsOf(state: WorkerState): WorkerStatus['facts'] {
  if (state.kind !== 'connected') return null;
  const { hostname, system, arch, kernel, libc, cores, memory, user, node } = state.facts;
  const { sandbox, tools } = state.facts;
  const diskFree = state.freeBytes;
  return {
    ...{ hostname, system, arch, kernel, libc, cores, memory, user, node },
    ...{ diskFree, sandbox, tools },
  };
}

/** What does not change merely because time passes. */
export function steadyStatus(
  worker: Worker,
  { jobs, speeds }: Pick<StatusParts, 'jobs' | 'speeds'>,
): Omit<WorkerStatus, 'sinceMs' | 'facts'> {
  const { state, health } = worker;
  const now = performance.now();
  const connected = state.kind === 'connected' ? state : undefined;
  return {
    id: worker.id,
    transport: worker.worker.transport,
    host: worker.worker.host ?? '',
    state: state.kind,
    health: health.kind,
    mandate: worker.mandate,
    troubles: (health.kind === 'degraded' ? health.troubles : []).map(
      ({ kind, reason, next, weight }) => ({ kind, reason, next, used: weight > 0 }),
    ),
    load: connected?.load ?? null,
    ...wordsOf(health),
    slots: connected === undefined ? null : { ...connected.slots },
    jobs: jobs.countOn(worker.id),
    priority: worker.worker.priority,
    tags: [...worker.worker.tags],
    breaker: breakerAt(worker.breaker, now).kind,
    clockOffsetMs: connected === undefined ? null : Number(connected.clockOffset) / 1e6,
    roundTripMs: connected?.roundTrip ?? null,
    speed: speeds.scoreOf(worker.id) ?? null,
  };
}

export function workerStatus(
  worker: Worker,
  parts: Pick<StatusParts, 'jobs' | 'speeds'>,
): WorkerStatus {
  const sinceMs = Math.round(performance.now() - worker.state.since);
  return { ...steadyStatus(worker, parts), sinceMs, facts: factsOf(worker.state) };
}

function localOf(leases: LeaseDesk): StatusReply['local'] {
  const now = performance.now();
  return {
    limit: leases.limit,
    used: leases.used,
    leases: leases.list().map(({ holder, cores, since }) => ({
      id: holder.id,
      pid: holder.pid,
      command: holder.command,
      cwd: holder.cwd,
      sinceMs: Math.round(now - since),
      cores,
      caller: holder.caller.name,
    })),
  };
}

function runningOf(jobs: Jobs): StatusReply['jobs'] {
  const now = performance.now();
  return jobs.all().map((job) => ({
    id: job.line.id,
    worker: job.worker,
    command: job.line.command,
    cwd: job.line.cwd,
    phase: job.phase,
    sinceMs: Math.round(now - job.since),
    slots: job.slots,
    caller: job.holder.caller.name,
  }));
}

/** What runs elsewhere, and what waits there to be fetched. */
export function jobsOf({
  jobs,
  fleet,
  history,
}: StatusParts & { readonly history: History }): JobsReply {
  const kept = fleet.all().flatMap((worker) =>
    worker.kept.map(({ job, cwd, reason, since }) => ({
      id: job,
      worker: worker.id,
      command: history.find(job)?.command ?? '',
      cwd: Buffer.from(cwd, 'latin1').toString('utf8'),
      reason,
      since,
    })),
  );
  return { running: runningOf(jobs), kept };
}

export function statusOf(parts: StatusParts): StatusReply {
  const outcome = parts.settings.current();
  return {
    version: parts.version,
    view: ownView(),
    pid: process.pid,
    socket: frontSocket(parts.layout),
    startedAt: parts.startedAt.toISOString(),
    uptimeMs: Math.round(process.uptime() * 1000),
    enabled: outcome.ok && outcome.value.config.general.enabled,
    config: {
      files: [...parts.settings.files],
      problems: problemsOf(outcome),
      projects: parts.settings.troubles.map(({ file, problems, untrusted }) => ({
        file,
        problems: problems.map(told),
        untrusted: [...untrusted],
      })),
    },
    log: (outcome.ok ? outcome.value.config.general.logFile : undefined) ?? daemonLog(parts.layout),
    logTrouble: parts.logTrouble(),
    workers: parts.fleet.all().map((worker) => workerStatus(worker, parts)),
    jobs: runningOf(parts.jobs),
    local: localOf(parts.leases),
    queue: parts.line.list(),
    counts: { ...parts.book.counts },
    notices: parts.seeing.bell.notices(),
    metrics: parts.seeing.metrics.state,
    memory: process.memoryUsage.rss(),
  };
}
