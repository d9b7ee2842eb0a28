/** The calls of control.ts: the parameters and the reply of each method, checked by zod on both sides. */
import { z } from 'zod';
import { collected, jobBytes, phases, plannedRoot } from './ipc.ts';
import { benchmarkFacts, sandboxFacts, toolFacts } from './facts.ts';

/** A Failure of src/base/result.ts. */
export const failure = z.object({ reason: z.string(), next: z.string().optional() });

/**
 * One decision about one command. Text is UTF-8 (bytes that are not are replaced); times are ISO 8601;
 * `phases` in ms. A local command is an exec of the launcher: its end is not known, so `exit` and `signal`
 * are null. A remote command has both null while it runs, and when it was lost.
 */
export const historyRecord = z.object({
  /** 32 hex digits. */
  id: z.string(),
  /** argv, quoted for a shell. */
  command: z.string(),
  argv: z.array(z.string()),
  cwd: z.string(),
  decision: z.enum(['remote', 'local']),
  reason: z.string(),
  worker: z.string().nullable(),
  exit: z.number().nullable(),
  /** The number of the signal the tool died of. */
  signal: z.number().nullable(),
  phases,
  bytes: jobBytes,
  startedAt: z.string(),
  tool: z.string(),
  /** Absolute paths that stayed as they were here because both sides had changed them. */
  conflicts: z.array(z.string()),
  /** The job whose run served this command too; absent when it had one of its own. */
  joined: z.string().optional(),
  /** The name that the project gives itself (project.name). */
  name: z.string().optional(),
  /** Hooks of the user's that did not end well, and how. */
  hooks: z.array(z.string()).optional(),
  /** It should have gone to a worker and ran here: for which cause, in a word. */
  fallback: z.string().optional(),
  /** It had started on a worker and was lost: it ended with 102. */
  lost: z.boolean().optional(),
});
export type HistoryRecord = z.infer<typeof historyRecord>;

/** The terms of a worker's score, each from 0 to 1: how fast, how free, how much of the project it holds, how much sooner it ends. */
export const scoreTerms = z.object({
  speed: z.number(),
  slots: z.number(),
  affinity: z.number(),
  cost: z.number(),
});
export type ScoreTerms = z.infer<typeof scoreTerms>;

/** What was thought of one worker for one command; `refusal` is empty when it could have been taken. */
export const workerVerdict = z.object({
  worker: z.string(),
  refusal: z.string(),
  /** Higher is better; 0 when refused. */
  score: z.number(),
  /** Absent when refused. */
  terms: scoreTerms.optional(),
  /** What is wrong with a worker that could have been taken nevertheless. */
  degraded: z.string().optional(),
  /** Of its configuration. */
  priority: z.number().optional(),
  /** The project prefers it. */
  preferred: z.boolean().optional(),
  /** `granted`: what the command would get. Absent when refused. */
  slots: z.object({ total: z.number(), free: z.number(), granted: z.number() }).optional(),
  /** `chosen`, or why another one was; absent where none was chosen. */
  outcome: z.string().optional(),
});
export type WorkerVerdict = z.infer<typeof workerVerdict>;

/** Everything behind a decision, for `rch why`. */
export const decisionDetails = z.object({
  /** The classifier's words on the command, before cost and workers were looked at. */
  verdict: z.string(),
  /** The weighing of cost in words; empty when it was not reached. */
  worth: z.string(),
  /** What the user may do about it; empty when nothing. */
  next: z.string(),
  workers: z.array(workerVerdict),
  /** Names of variables that are not given to the worker. */
  withheldEnv: z.array(z.string()),
  roots: z.array(plannedRoot.pick({ path: true, policy: true })),
  /** A rule learned from an earlier run that decided; empty when none. */
  learned: z.string(),
  /** Remarks of the planner. */
  notes: z.array(z.string()),
});
export type DecisionDetails = z.infer<typeof decisionDetails>;

/** How fast a worker is; src/cli and the score of selection show the same number. */
export const workerSpeed = z.object({
  /** 100 is a core of a server of 2024. */
  score: z.number(),
  /** ISO 8601 */
  at: z.string(),
  /** Null when the score comes from benchmark.url. */
  facts: benchmarkFacts.nullable(),
});
export type WorkerSpeed = z.infer<typeof workerSpeed>;

export const workerStatus = z.object({
  id: z.string(),
  transport: z.string(),
  /** Empty for transports without one. */
  host: z.string(),
  state: z.enum(['disabled', 'starting', 'connecting', 'connected', 'unreachable', 'draining']),
  /** daemon/lifecycle/health.ts */
  health: z.enum(['healthy', 'degraded', 'unreachable', 'draining', 'disabled']),
  /** What the user wants of it (`rch workers enable`, `drain`, `disable`). */
  mandate: z.enum(['enabled', 'draining', 'disabled']),
  /** What is wrong with one that answers, the gravest first; `used`: commands are sent there nevertheless. */
  troubles: z.array(
    z.object({ kind: z.string(), reason: z.string(), next: z.string(), used: z.boolean() }),
  ),
  /** Cores that others keep busy there; null while it is not connected. */
  load: z.number().nullable(),
  /** Why it takes no commands; empty when it does. */
  reason: z.string(),
  /** What to do about `reason`; empty when we do not know. */
  next: z.string(),
  /** ms in this state. */
  sinceMs: z.number(),
  slots: z.object({ total: z.number(), used: z.number() }).nullable(),
  /** Jobs of this daemon that are there now. */
  jobs: z.number(),
  priority: z.number(),
  tags: z.array(z.string()),
  breaker: z.enum(['closed', 'open', 'half-open']),
  /** Worker's clock minus ours. */
  clockOffsetMs: z.number().nullable(),
  roundTripMs: z.number().nullable(),
  /** Score of its benchmark; null before the first. */
  speed: z.number().nullable(),
  facts: z
    .object({
      hostname: z.string(),
      system: z.string(),
      arch: z.string(),
      kernel: z.string(),
      libc: z.string(),
      cores: z.number(),
      /** bytes, both */
      memory: z.number(),
      diskFree: z.number(),
      user: z.string(),
      node: z.string(),
      sandbox: sandboxFacts,
      tools: z.array(toolFacts),
    })
    .nullable(),
});
export type WorkerStatus = z.infer<typeof workerStatus>;

/** A mistake in a configuration file; `line` and `column` are 0 when they are not known. */
export const configProblem = z.object({
  file: z.string(),
  line: z.number(),
  column: z.number().default(0),
  key: z.string(),
  reason: z.string(),
});

/** A command in line. */
export const waitingCommand = z.object({
  /** Of its job. */
  id: z.string(),
  /** From 1. */
  place: z.number(),
  /** The workers that would do, or `here`. */
  for: z.array(z.string()),
  caller: z.string(),
  priority: z.enum(['low', 'normal', 'high']),
  cores: z.number(),
  pid: z.number(),
  command: z.string(),
  cwd: z.string(),
  waitedMs: z.number(),
});
export type WaitingCommand = z.infer<typeof waitingCommand>;

export const statusReply = z.object({
  version: z.string(),
  /** Which files and processes the daemon sees (src/base/view.ts). */
  view: z.string().default(''),
  pid: z.number(),
  socket: z.string(),
  startedAt: z.string(),
  uptimeMs: z.number(),
  /** False when general.enabled is off: everything is local. */
  enabled: z.boolean(),
  config: z.object({
    files: z.array(z.string()),
    problems: z.array(configProblem),
    /** Files of projects that were built in of late: what is wrong with them, and keys that wait for `rch trust`. */
    projects: z
      .array(
        z.object({
          file: z.string(),
          problems: z.array(configProblem),
          untrusted: z.array(z.string()),
        }),
      )
      .default([]),
  }),
  log: z.string(),
  /** Why lines of the log are not written; '' while they are. */
  logTrouble: z.string().default(''),
  workers: z.array(workerStatus),
  /** Remote jobs that run now. */
  jobs: z.array(
    z.object({
      id: z.string(),
      worker: z.string(),
      command: z.string(),
      cwd: z.string(),
      phase: z.string(),
      sinceMs: z.number(),
      /** Slots it holds there. */
      slots: z.number(),
      caller: z.string(),
    }),
  ),
  local: z.object({
    /** Cores that heavy commands here may keep busy together, and those they were given. */
    limit: z.number(),
    used: z.number(),
    leases: z.array(
      z.object({
        /** Of its job. */
        id: z.string(),
        pid: z.number(),
        command: z.string(),
        cwd: z.string(),
        sinceMs: z.number(),
        cores: z.number(),
        caller: z.string(),
      }),
    ),
  }),
  /** Commands that wait for a worker or for their turn here, the next one first. */
  queue: z.array(waitingCommand),
  /** Decisions since the start; `lost` were remote and ended with 102; `returned` were sent to a worker and came back before they had started. */
  counts: z.object({
    remote: z.number(),
    local: z.number(),
    returned: z.number(),
    lost: z.number(),
  }),
  /** What goes worse than usual: commands for workers that run here, or are lost there. */
  notices: z.array(z.object({ kind: z.string(), text: z.string() })).default([]),
  /** Where Prometheus finds our metrics, or why it does not; null while metrics.enabled is off. */
  metrics: z.object({ url: z.string(), trouble: z.string() }).nullable().default(null),
  /** Bytes resident of the front alone. */
  memory: z.number(),
});
export type StatusReply = z.infer<typeof statusReply>;

/** `phase` in words; `since` ISO 8601. */
export const jobsReply = z.object({
  running: statusReply.shape.jobs,
  kept: z.array(
    z.object({
      id: z.string(),
      worker: z.string(),
      /** Empty when it is not remembered. */
      command: z.string(),
      cwd: z.string(),
      /** Why the results could not be brought back. */
      reason: z.string(),
      since: z.string(),
    }),
  ),
});
export type JobsReply = z.infer<typeof jobsReply>;

const nothing = z.object({});

const cancelledJob = z.object({
  id: z.string(),
  command: z.string(),
  /** `in line`, `here`, or a worker. */
  where: z.string(),
});
export type CancelledJob = z.infer<typeof cancelledJob>;

/**
 * - `pass`: nothing against it, the next tier looks.
 * - `here`: it runs here, and no shim needs to see it.
 * - `candidate`: it may run elsewhere.
 * - `doubt`: it cannot be told from the line (a variable, a script): a shim that meets it decides.
 */
export const tierOutcome = z.enum(['pass', 'here', 'candidate', 'doubt']);
export type TierOutcome = z.infer<typeof tierOutcome>;

/** What one of the five tiers says of a line, or of one command in it. */
export const tierVerdict = z.object({
  tier: z.number().int().min(0).max(4),
  verdict: tierOutcome,
  reason: z.string(),
  /** Time it took, µs. */
  micros: z.number().nonnegative().optional(),
});
export type TierVerdict = z.infer<typeof tierVerdict>;

/** A simple command of a shell line. */
export const lineCommand = z.object({
  /** As it stands in the line. */
  text: z.string(),
  /** What is left of it without wrappers, assignments and folders: its argv, where that can be told. */
  words: z.array(z.string()),
  /** Whether each word is what the program gets: no expansion, no glob, nothing that xargs adds. */
  fixed: z.boolean(),
  /** The wrappers that were taken off: sudo, env, nice … */
  wrappers: z.array(z.string()),
  /** NAME=value before it. */
  assignments: z.array(z.string()),
  /** Where it runs, after the cd commands before it; null when that cannot be told. */
  cwd: z.string().nullable(),
  verdict: tierOutcome.exclude(['pass']),
  reason: z.string(),
  /** Of a candidate: how sure the classification is, 0 to 1. */
  confidence: z.number().nullable(),
  /** The tiers it went through, to the one that decided. */
  tiers: z.array(tierVerdict),
});
export type LineCommand = z.infer<typeof lineCommand>;

export const lineReply = z.object({
  /** Tiers 0 and 1, which look at the line as a whole. */
  tiers: z.array(tierVerdict),
  commands: z.array(lineCommand),
  /** Whether the shims should be on PATH for it: some command of it is a candidate, or in doubt. */
  wrap: z.boolean(),
  reason: z.string(),
});
export type LineReply = z.infer<typeof lineReply>;

/** Text on the way to a reply (a probe that uploads the agent first). */
export const progressEvent = z.object({ text: z.string() });
export type ProgressEvent = z.infer<typeof progressEvent>;

export const controlMethods = {
  status: { params: nothing, reply: statusReply },
  /** The `n` newest, newest first, of those that are asked for. */
  history: {
    params: z.object({
      n: z.number().int().positive(),
      /** Run there or below; absolute, UTF-8. */
      folder: z.string().optional(),
      /** Of a project of that name. */
      name: z.string().optional(),
      /** Not begun before; ISO 8601. */
      since: z.iso.datetime().optional(),
      /** Ended with an error, by a signal, or lost. */
      failed: z.boolean().optional(),
      /** The `n` slowest, the slowest first. */
      slow: z.boolean().optional(),
    }),
    reply: z.array(historyRecord),
  },
  /** The newest decision, of those with `job` as the start of their id or made in `cwd` (or below it). */
  why: {
    params: z.object({ job: z.string().optional(), cwd: z.string().optional() }),
    /** `details` is null for a question that was answered by the name and arguments alone. */
    reply: z.object({ record: historyRecord, details: decisionDetails.nullable() }),
  },
  workers: { params: nothing, reply: z.array(workerStatus) },
  /** Waits until the worker is connected (its agent is uploaded if need be), and takes its facts anew. Emits progressEvent. */
  probe: {
    params: z.object({ worker: z.string(), tools: z.array(z.string()).optional() }),
    reply: workerStatus,
  },
  /** Measures a connected worker, or asks benchmark.url again where that is set. */
  benchmark: { params: z.object({ worker: z.string() }), reply: workerSpeed },
  /** What the user wants of a worker from now on, over restarts of the daemon too. */
  order: {
    params: z.object({
      worker: z.string(),
      mandate: z.enum(['enabled', 'draining', 'disabled']),
    }),
    reply: workerStatus,
  },
  /** Reads the configuration now. */
  reload: { params: nothing, reply: z.object({ problems: z.array(configProblem) }) },
  /**
   * `now`: running jobs are ended, not awaited; `handover`: they go on, and the daemon that is started next takes them
   * up. The reply comes first, with the ms that running jobs get; the connection closes when the daemon is gone.
   */
  stop: {
    params: z.object({ now: z.boolean().optional(), handover: z.boolean().optional() }),
    reply: z.object({ withinMs: z.number().default(0) }),
  },
  /** What runs on workers, and what results are kept there because they could not be brought back. */
  jobs: { params: nothing, reply: jobsReply },
  /** Brings the kept results of the one job whose id starts so. */
  fetch: {
    params: z.object({ job: z.string().min(1) }),
    reply: z.object({
      id: z.string(),
      worker: z.string(),
      /** Files, folders and links that were made, changed or removed. */
      files: z.number(),
      conflicts: z.array(z.string()),
    }),
  },
  /** Shrinks what a worker holds to `bytes`; without it, to its configured bound. */
  collect: {
    params: z.object({ worker: z.string(), bytes: z.number().nonnegative().optional() }),
    reply: collected,
  },
  /** Forgets what was learned as local for the projects in or around `cwd`; without it, everything. */
  forget: {
    params: z.object({ cwd: z.string().optional() }),
    reply: z.object({ forgotten: z.number() }),
  },
  /** What would be decided; nothing is started or recorded. Strings are latin1 (one char a byte). */
  explain: {
    params: z.object({
      tool: z.string(),
      /** With argv[0]. */
      argv: z.array(z.string()),
      cwd: z.string(),
      /** NAME=value */
      env: z.array(z.string()),
    }),
    reply: z.object({
      decision: z.enum(['remote', 'local']),
      reason: z.string(),
      worker: z.string().nullable(),
      details: decisionDetails.nullable(),
    }),
  },
  /**
   * The toolchain that rustup's proxy `rustc` would take in `cwd`, or the one called `name`; nothing is asked of rustup.
   * Paths are UTF-8. `name` in the reply is null where `rustc` is not rustup's, or a path chose the toolchain.
   */
  toolchain: {
    params: z.object({
      rustc: z.string(),
      cwd: z.string(),
      /** NAME=value */
      env: z.array(z.string()),
      name: z.string().optional(),
    }),
    reply: z.object({
      rustup: z.boolean(),
      name: z.string().nullable(),
      /** With bin and lib; empty where `rustc` is not rustup's. */
      folder: z.string(),
    }),
  },
  /**
   * What a shell line holds for the shims: for the hook, which asks whether to wrap it, and for `rch why LINE`.
   * Text is UTF-8. Nothing is started or recorded; only settings and cargo's aliases are read.
   */
  classifyLine: {
    params: z.object({
      line: z.string(),
      cwd: z.string(),
      /** NAME=value; PATH alone will do. A PATH that has the shims first needs no wrapping. */
      env: z.array(z.string()).default([]),
    }),
    reply: lineReply,
  },
  /** Commands that wait, the next one first. */
  queue: { params: nothing, reply: z.array(waitingCommand) },
  /**
   * Ends the one job whose id starts with `job`, or all there are: those in line, those on workers, and heavy ones here.
   * Each ends as if it had been interrupted (Ctrl-C).
   */
  cancel: {
    params: z.object({ job: z.string().min(1).optional(), all: z.boolean().optional() }),
    reply: z.object({ cancelled: z.array(cancelledJob) }),
  },
  /**
   * Emits watchEvent (watch.ts) until the connection closes, beginning with all that is, and the `recent` newest records.
   * Whoever does not read misses output, and later gets what changed meanwhile.
   */
  watch: {
    params: z.object({ recent: z.number().int().nonnegative().max(1000).default(50) }),
    reply: nothing,
  },
  /** Starts the web page where it is not up, on that port of 127.0.0.1 (0: any), or ends it. */
  dashboard: {
    params: z.object({
      action: z.enum(['open', 'stop']),
      port: z.number().int().min(0).max(65_535).default(0),
    }),
    /** The link with its token; empty when there is no page now. `was`: it was up before. */
    reply: z.object({ url: z.string(), was: z.boolean() }),
  },
} as const;

export type ControlMethod = keyof typeof controlMethods;
export type ParamsOf<M extends ControlMethod> = z.input<(typeof controlMethods)[M]['params']>;
export type ReplyOf<M extends ControlMethod> = z.output<(typeof controlMethods)[M]['reply']>;
