/**
 * What the method `watch` tells, event by event: everything at first, then what changes. Times are ms since the epoch by
 * the daemon's clock, so that nothing changes merely because time passes.
 */
import { z } from 'zod';
import { historyRecord, statusReply, waitingCommand, workerStatus } from './methods.ts';

const since = z.number();
const runningJob = statusReply.shape.jobs.element;
const lease = statusReply.shape.local.shape.leases.element;
const facts = workerStatus.shape.facts.unwrap();

const watchedWorker = workerStatus.omit({ sinceMs: true, facts: true }).extend({
  since,
  machine: facts
    .pick({ hostname: true, system: true, cores: true, memory: true, diskFree: true })
    .nullable(),
});
export type WatchedWorker = z.infer<typeof watchedWorker>;

const watchedJob = runningJob.omit({ sinceMs: true }).extend({
  since,
  /** The phases it went through, the one it is in last. */
  steps: z.array(z.object({ phase: z.string(), since })),
  /** Why it went there. */
  reason: z.string(),
});
export type WatchedJob = z.infer<typeof watchedJob>;

const watchedLease = lease.omit({ sinceMs: true }).extend({ since });
export type WatchedLease = z.infer<typeof watchedLease>;

const watchedWaiting = waitingCommand.omit({ waitedMs: true }).extend({ since });
export type WatchedWaiting = z.infer<typeof watchedWaiting>;

export const watchState = z.object({
  daemon: z.object({
    version: z.string(),
    pid: z.number(),
    startedAt: since,
    /** False when everything runs here. */
    enabled: z.boolean(),
    /** What is wrong with the configuration, a line each. */
    problems: z.array(z.string()),
  }),
  workers: z.array(watchedWorker),
  /** On workers. */
  jobs: z.array(watchedJob),
  local: statusReply.shape.local.extend({ leases: z.array(watchedLease) }),
  queue: z.array(watchedWaiting),
  counts: statusReply.shape.counts,
});
export type WatchState = z.infer<typeof watchState>;

export const watchEvent = z.discriminatedUnion('type', [
  /** The parts that changed; none of them as a sign of life. `at`: now. */
  z.object({ type: z.literal('state'), at: since, state: watchState.partial() }),
  /** Commands that ended, or were decided to run here; the oldest first. One may come again with more. */
  z.object({ type: z.literal('records'), records: z.array(historyRecord) }),
  /** What a job wrote next, base64; `skipped`: something is left out before it. */
  z.object({
    type: z.literal('output'),
    job: z.string(),
    data: z.string(),
    skipped: z.boolean(),
  }),
]);
export type WatchEvent = z.infer<typeof watchEvent>;

/** What a watcher knows. */
export type Watched = WatchState & {
  /** The daemon's clock minus ours, ms. */
  readonly ahead: number;
  /** The newest first. */
  readonly records: readonly z.infer<typeof historyRecord>[];
};

/** Records that a watcher keeps. */
export const MOST_RECORDS = 500;

export const nothingWatched: Watched = {
  daemon: { version: '', pid: 0, startedAt: 0, enabled: true, problems: [] },
  workers: [],
  jobs: [],
  local: { limit: 0, used: 0, leases: [] },
  queue: [],
  counts: { remote: 0, local: 0, returned: 0, lost: 0 },
  ahead: 0,
  records: [],
};

/** What is known after an event; `now` by the watcher's clock. Output is the watcher's own affair. */
export function afterEvent(before: Watched, event: WatchEvent, now: number): Watched {
  if (event.type === 'state') {
    const { daemon, workers, jobs, local, queue, counts } = event.state;
    return {
      daemon: daemon ?? before.daemon,
      workers: workers ?? before.workers,
      jobs: jobs ?? before.jobs,
      local: local ?? before.local,
      queue: queue ?? before.queue,
      counts: counts ?? before.counts,
      records: before.records,
      ahead: event.at - now,
    };
  }
  if (event.type === 'output') return before;
  const news = new Map(event.records.map((record) => [record.id, record]));
  const kept = before.records.map((record) => news.get(record.id) ?? record);
  const known = new Set(before.records.map(({ id }) => id));
  const fresh = [...news.values()].filter(({ id }) => !known.has(id)).reverse();
  return { ...before, records: [...fresh, ...kept].slice(0, MOST_RECORDS) };
}
