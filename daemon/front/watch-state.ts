/** Everything that goes on, as watchers are told it: with points in time, where `rch status` has how long ago. */
import type { WatchState, WatchedJob, WatchedWorker } from '../../src/protocol/watch.ts';
import type { Job } from './jobs.ts';
import { configTroubles, factsOf, steadyStatus, type StatusParts } from './status.ts';
import type { Worker } from './worker.ts';

/** ms since the epoch of a moment of performance.now(). */
const moment = (at: number): number => Math.round(performance.timeOrigin + at);

function workerOf(worker: Worker, parts: StatusParts): WatchedWorker {
  const facts = factsOf(worker.state);
  return {
    ...steadyStatus(worker, parts),
    since: moment(worker.state.since),
    machine:
      facts === null
        ? null
        : {
            hostname: facts.hostname,
            system: facts.system,
            cores: facts.cores,
            memory: facts.memory,
            diskFree: facts.diskFree,
          },
  };
}

function jobOf(job: Job): WatchedJob {
  const planned = { phase: 'planned', since: job.since };
  return {
    id: job.line.id,
    worker: job.worker,
    command: job.line.command,
    cwd: job.line.cwd,
    phase: job.phase,
    since: moment(job.since),
    steps: [planned, ...job.steps].map(({ phase, since }) => ({ phase, since: moment(since) })),
    reason: job.line.reason,
    slots: job.slots,
    caller: job.holder.caller.name,
  };
}

export function watchStateOf(parts: StatusParts): WatchState {
  const { leases, fleet, jobs, line, book } = parts;
  const { enabled, problems } = configTroubles(parts.settings);
  return {
    daemon: {
      version: parts.version,
      pid: process.pid,
      startedAt: parts.startedAt.getTime(),
      ...{ enabled, problems },
    },
    workers: fleet.all().map((worker) => workerOf(worker, parts)),
    jobs: jobs.all().map(jobOf),
    local: {
      limit: leases.limit,
      used: leases.used,
      leases: leases.list().map(({ holder, cores, since }) => ({
        id: holder.id,
        pid: holder.pid,
        command: holder.command,
        cwd: holder.cwd,
        since: moment(since),
        cores,
        caller: holder.caller.name,
      })),
    },
    queue: line.list().map((each) => ({
      ...{ id: each.id, place: each.place, for: each.for, caller: each.caller },
      ...{ priority: each.priority, cores: each.cores, pid: each.pid },
      ...{ command: each.command, cwd: each.cwd },
      since: moment(line.find(each.id)?.since ?? performance.now()),
    })),
    counts: { ...book.counts },
  };
}
