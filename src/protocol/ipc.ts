/** What the front and a link process say to each other, over the IPC channel of child_process.fork (JSON). */
import { z } from 'zod';
import { logLevels } from '../base/log-levels.ts';
import { agentFacts, benchmarkFacts } from './facts.ts';

/** Bytes as latin1, one char a byte: paths, argv and environment need not be UTF-8. */
const raw = z.string();

export const plannedRoot = z.object({
  /** Absolute. */
  path: raw,
  policy: z.enum(['project', 'readOnly']),
  /** Relative folders that are not carried at all (.rch, a toolchain's share/doc). */
  skip: z.array(raw),
  /** For readOnly roots of which only a part is carried (CARGO_HOME's locked crates): the relative paths; empty means all. */
  only: z.array(raw),
  /** Relative folders (cargo's target) in which a worker starts without what cargo made, and then shares it. */
  cold: z.array(raw),
  /**
   * Below `cold`: a folder that the tool fills by itself holds `mark`; `cache` in it is a pure cache and stays on its machine.
   * In `units` it has a folder for each thing it makes: where it wrote in one, it had all that is there in its hands.
   */
  filled: z.object({ mark: raw, cache: raw, units: raw }).optional(),
  /**
   * The root is a git object store that is too large to be carried: what stands in for it there is made from this
   * git folder (daemon/sync/git-objects.ts).
   */
  git: raw.optional(),
});
export type PlannedRoot = z.infer<typeof plannedRoot>;

/** What the front decided about a command; the link acts on it once the launcher commits. */
export const plannedJob = z.object({
  /** 32 hex digits. */
  job: z.string(),
  tool: raw,
  argv: z.array(raw),
  env: z.array(raw),
  /** Names that are kept from the tool. */
  withheld: z.array(z.string()),
  cwd: raw,
  roots: z.array(plannedRoot),
  hide: z.array(raw),
  /** Paths of read-only roots in which new files may be made, which are dropped. */
  open: z.array(raw),
  shimDir: raw,
  shimTools: z.array(z.string()),
  user: z.object({
    name: z.string(),
    uid: z.number(),
    gid: z.number(),
    group: z.string(),
    home: raw,
  }),
  /** Host name, and /etc/localtime in base64. */
  machine: z.object({ host: z.string(), zone: z.string() }),
  umask: z.number(),
  streams: z.tuple([z.number(), z.number(), z.number()]),
  joined: z.boolean(),
  /** Inodes (`inodeOf`) of the files that its output goes to. */
  outputFiles: z.array(z.string()).default([]),
  window: z.object({ rows: z.number(), cols: z.number(), xpixel: z.number(), ypixel: z.number() }),
  /** base64 */
  termios: z.string(),
  rlimits: z.string(),
  signals: z.string(),
  slots: z.number().int(),
  /** Cores it would use if it had them; more than `slots` when it got fewer. */
  wished: z.number().int(),
  /** ms that it may wait for slots that another workstation took meanwhile. */
  slotWaitMs: z.number(),
  /** Folders whose programs the tool would become: these alone a worker may name to be run here. */
  catchExec: z.array(raw).default([]),
  /** Absolute folders that are a pure cache and stay on the worker (cargo's incremental). */
  caches: z.array(raw),
  /** All that the command writes, absolute, where that is known: it may then run beside others in its project. */
  outputs: z.array(raw).optional(),
  network: z.boolean(),
  /** Why it goes to this worker, in words. */
  reason: z.string(),
  /** ms from the question to the answer. */
  waitedMs: z.number(),
  /** The caller wants each phase on stderr (RCH_VERBOSE). */
  verbose: z.boolean(),
  notice: z.enum(['auto', 'never', 'always']),
  /** Lines of ours on a terminal may be dim (NO_COLOR). */
  dim: z.boolean().default(true),
  /** Another line of ours behind the one at the end, where that is shown; '' for none. */
  remark: z.string().default(''),
  /** Bytes of a project root above which it is not carried. */
  maxRootBytes: z.number(),
  /** The highest zstd level of what is sent; 0: as the link does for all. */
  compression: z.number().int().default(0),
  /** Every file is read anew, whatever its times say. */
  checksum: z.boolean().default(false),
  /** ms for the roots to be on the worker; 0: none. */
  transferMs: z.number().default(0),
  /** About what the command takes here, ms, for an upload to be measured by; 0: it goes whatever that takes. */
  hereMs: z.number().default(0),
  /** Shell commands to run here; empty for none. */
  hooks: z
    .object({
      preTransfer: z.string(),
      postCompile: z.string(),
      /** ms */
      limit: z.number(),
      /** The project's folder. */
      folder: raw,
    })
    .default({ preTransfer: '', postCompile: '', limit: 0, folder: '/' }),
  /** ms; 0: none. */
  timeoutMs: z.number(),
  /** The launcher, by pid and start time (clock ticks since boot, a decimal number). */
  launcher: z.object({ pid: z.number(), startTime: z.string() }),
  /** The look at the project root that was made for the plan of this job; '' for none. */
  look: z.string(),
  /** Equal for commands of which one run may serve all, on an equal tree; '' for one that is run for itself. */
  key: z.string(),
  /** ms for which its result may answer the same key again; 0: never. */
  reuseMs: z.number(),
  /** Files that its launcher does not hold yet, since another's run was to serve it; absolute. */
  locks: z.array(raw),
});
export type PlannedJob = z.infer<typeof plannedJob>;

/** What of a plan outlives its link: no environment, no arguments. */
export const lastingPlan = plannedJob.pick({
  job: true,
  cwd: true,
  roots: true,
  caches: true,
  withheld: true,
  verbose: true,
  notice: true,
  dim: true,
  remark: true,
  hooks: true,
  timeoutMs: true,
  launcher: true,
  outputs: true,
  outputFiles: true,
  waitedMs: true,
  catchExec: true,
});
export type LastingPlan = z.infer<typeof lastingPlan>;

export const frontToLink = z.discriminatedUnion('type', [
  /** First: what the link is for. `config` is the worker's merged configuration (src/config). */
  z.object({ type: z.literal('configure'), worker: z.unknown(), config: z.unknown() }),
  /** A launcher was sent here and will commit; unless it does within 5 s the plan is given up. */
  z.object({
    type: z.literal('plan'),
    job: plannedJob,
    /** What the front will want to know of the job if it is another one by then; the link only keeps it. */
    memo: z.unknown(),
  }),
  /** Takes facts anew, with these tools. */
  z.object({ type: z.literal('probe'), request: z.number(), tools: z.array(z.string()) }),
  z.object({ type: z.literal('collect'), request: z.number(), bytes: z.number() }),
  /** Measures the worker. */
  z.object({ type: z.literal('benchmark'), request: z.number() }),
  /** Connects at once if it waits to try again. */
  z.object({ type: z.literal('connect') }),
  /** Looks at a project root for a plan; `last` names the look whose knowledge the front has ('' for none). */
  z.object({
    type: z.literal('look'),
    request: z.number(),
    root: plannedRoot,
    last: z.string(),
  }),
  /** Interrupts a job (rch cancel). */
  z.object({ type: z.literal('cancel'), job: z.string() }),
  /** Somebody watches, or nobody does any more: `output` comes only while somebody does. */
  z.object({ type: z.literal('watch'), on: z.boolean() }),
  /** Brings kept results here. */
  z.object({ type: z.literal('fetch'), request: z.number(), job: z.string() }),
  /** The front has written down how the job ended. */
  z.object({ type: z.literal('heard'), job: z.string() }),
  /** No new jobs; exits when the running ones are done or `deadlineMs` has passed; without one it waits for their end. */
  z.object({ type: z.literal('stop'), deadlineMs: z.number().optional() }),
  /** The quietest lines that the log takes; at first as `config` says. */
  z.object({ type: z.literal('logLevel'), level: z.enum(logLevels) }),
  /** Exits at once; what runs goes on, and the next link takes it up. */
  z.object({ type: z.literal('leave') }),
]);
export type FrontToLink = z.infer<typeof frontToLink>;

/** Phases in ms, in the order they happen; absent when they did not. */
export const phases = z.object({
  queue: z.number().optional(),
  scan: z.number().optional(),
  /** The part of `scan` that was over before the commit, since the plan needed it. */
  early: z.number().optional(),
  sync: z.number().optional(),
  /** From the order to run until the tool's process runs. */
  start: z.number().optional(),
  run: z.number().optional(),
  return: z.number().optional(),
  total: z.number().optional(),
});
export type Phases = z.infer<typeof phases>;

/** `tree`: of all files that the job needed there, whether they had to be sent or not. */
export const jobBytes = z.object({
  sent: z.number(),
  received: z.number(),
  output: z.number(),
  tree: z.number().optional(),
});

/** How a job ended, as the link saw it. */
export const jobOutcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('exited'), code: z.number() }),
  z.object({ kind: z.literal('signaled'), signal: z.number() }),
  /** Built there, run here. */
  z.object({ kind: z.literal('execHere') }),
  /**
   * Came back before the start. `learn`: local from now on for this project and command. `again`: another worker may do
   * better. The launcher asks anew; where no other can, it runs here in its turn.
   */
  z.object({
    kind: z.literal('local'),
    reason: z.string(),
    learn: z.boolean(),
    again: z.boolean().default(false),
    /** Whether it speaks against the worker: not where the project, this machine or another's work there is in the way. */
    fault: z.boolean().default(true),
  }),
  /** By `rch cancel`: the launcher ended as if it had been interrupted; by `signal`, which the worker could not be told of, by that. */
  z.object({ kind: z.literal('cancelled'), signal: z.number().optional() }),
  /** The launcher went away before the end. */
  z.object({ kind: z.literal('abandoned') }),
  /** Started, then lost: the launcher ended with 102. `kept`: its results can still be fetched. */
  z.object({ kind: z.literal('lost'), reason: z.string(), kept: z.boolean().default(false) }),
  /** Ended by execution.timeout_sec, as its user wants it; the launcher ended with 102. */
  z.object({ kind: z.literal('timedOut'), reason: z.string() }),
]);
export type JobOutcome = z.infer<typeof jobOutcome>;

/** How a job ended, to be written down. */
export const doneMessage = z.object({
  type: z.literal('done'),
  job: z.string(),
  outcome: jobOutcome,
  phases,
  bytes: jobBytes,
  /** Files that stayed as they were here because both sides changed them; absolute, latin1. */
  conflicts: z.array(raw),
  /** Names withheld from the environment that the build turned out to read. */
  missedEnv: z.array(z.string()),
  /** A path outside all roots that the tool was refused to write; '' when none. */
  deniedPath: raw,
  /** Hooks of the user's that did not end well, and how. */
  hooks: z.array(z.string()).optional(),
});

/** Bytes that a worker freed, by what they were, and what it still holds. */
export const collected = z.object({
  contents: z.number(),
  trees: z.number(),
  results: z.number(),
  held: z.number(),
});
export type Collected = z.infer<typeof collected>;

/** A job whose results are kept on the worker. */
export const keptJob = z.object({
  job: z.string(),
  cwd: raw,
  reason: z.string(),
  /** ISO 8601 */
  since: z.string(),
});
export type KeptJob = z.infer<typeof keptJob>;
/** C and C++ sources of a root, relative; daemon/plan/needs/told-project.ts says what becomes of them. */
export const toldSources = z.object({
  look: z.string(),
  whole: z.boolean(),
  put: z.array(raw),
  links: z.array(raw),
  gone: z.array(raw),
  /** Begin of the look, ms since the epoch. */
  since: z.number(),
});
export type ToldSources = z.infer<typeof toldSources>;

export const linkToFront = z.discriminatedUnion('type', [
  /** First: the jobs that a link before this one left running; all others of that one have come to nothing. */
  z.object({
    type: z.literal('recovered'),
    jobs: z.array(z.object({ job: z.string(), memo: z.unknown() })),
  }),
  /** All jobs whose results are kept, at the start and at each change. */
  z.object({ type: z.literal('kept'), jobs: z.array(keptJob) }),
  /** A sign of life, twice in each `daemon.heartbeat_interval_sec`. */
  z.object({ type: z.literal('beat') }),
  z.object({
    type: z.literal('fetched'),
    request: z.number(),
    files: z.number(),
    conflicts: z.array(raw),
  }),
  /** The link's socket listens. */
  z.object({ type: z.literal('listening') }),
  z.object({ type: z.literal('connecting'), attempt: z.number() }),
  /** What the worker lacks of the agent is on its way; `rate` in bytes a second. */
  z.object({
    type: z.literal('uploading'),
    part: z.enum(['agent', 'node']),
    bytes: z.number(),
    total: z.number(),
    rate: z.number(),
  }),
  /** `clockOffset`: worker minus here, ns. `roundTrip` ms. */
  z.object({
    type: z.literal('connected'),
    facts: agentFacts,
    clockOffset: z.string(),
    roundTrip: z.number(),
  }),
  /** Cores that others keep busy there. */
  z.object({ type: z.literal('vitals'), load: z.number() }),
  /** One of the clocks was set, by `step` ns (0: they moved slowly); `offset` as in `connected`. */
  z.object({ type: z.literal('clock'), offset: z.string(), step: z.string() }),
  /** The agent has not answered for so long, on a connection that stands; 0: it did again. */
  z.object({ type: z.literal('silent'), ms: z.number() }),
  z.object({ type: z.literal('disconnected'), reason: z.string(), next: z.string() }),
  z.object({
    type: z.literal('slots'),
    total: z.number(),
    used: z.number(),
    /** Those of `used` that this workstation's jobs hold. */
    own: z.number(),
    freeBytes: z.number(),
  }),
  z.object({ type: z.literal('probed'), request: z.number(), facts: agentFacts }),
  z.object({
    type: z.literal('collected'),
    request: z.number(),
    collected,
  }),
  z.object({ type: z.literal('benchmarked'), request: z.number(), facts: benchmarkFacts }),
  z.object({ type: z.literal('looked'), request: z.number(), told: toldSources }),
  z.object({ type: z.literal('failed'), request: z.number(), reason: z.string() }),
  z.object({ type: z.literal('phase'), job: z.string(), phase: z.string() }),
  /** A line for the daemon's log, `job` where it is about one. */
  z.object({
    type: z.literal('log'),
    level: z.enum(logLevels),
    what: z.string(),
    job: z.string().optional(),
  }),
  /** A job begins nothing, since the run of `to` serves it too; '' when it runs for itself after all. */
  z.object({ type: z.literal('joined'), job: z.string(), to: z.string() }),
  /** What a job wrote since the last of these, base64; `skipped`: something is left out before it. */
  z.object({
    type: z.literal('output'),
    job: z.string(),
    data: z.string(),
    skipped: z.boolean(),
  }),
  doneMessage,
]);
export type LinkToFront = z.infer<typeof linkToFront>;

/** What the process of the web page (daemon/dashboard) says to the front, once. */
export const dashboardToFront = z.discriminatedUnion('type', [
  z.object({ type: z.literal('listening'), url: z.string() }),
  z.object({ type: z.literal('failed'), reason: z.string() }),
]);
export type DashboardToFront = z.infer<typeof dashboardToFront>;
