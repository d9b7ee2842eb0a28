/**
 * Every setting there is, with its default and what is allowed. Names are camelCase here and snake_case in files.
 * The same schemas check what a file says (by way of load.ts) and what a process hands another as JSON.
 */
import { z } from 'zod';
import { commandKinds, kindKey } from '../base/command-kinds.ts';
import { defaultWithhold, defaultWithholdPatterns } from './environment.ts';

const names = z.array(z.string().min(1));

/** When a line about a command is shown on stderr; `auto`: slow phases and the end, on a terminal. */
export const notices = ['auto', 'never', 'always'] as const;
export type Notice = (typeof notices)[number];

/** Which of several waiting commands goes first. */
export const priorities = ['low', 'normal', 'high'] as const;
export type Priority = (typeof priorities)[number];

/** Worker ids are parts of file names and of socket paths, which end at 107 bytes on Linux. */
export const workerId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/, 'letters, digits, "_", "." and "-", at most 32');

/** What a worker may say of itself and `[defaults]` in workers.toml for all. */
const workerDefaults = {
  /** Time for a connection to be made, ms. */
  sshTimeoutMs: z.number().int().min(100).max(600_000).default(5000),
};

export const workerConfig = z
  .strictObject({
    id: workerId,
    /** ssh: by the ssh2 package; command: any argv whose stdio reaches an agent; embedded: a child here. */
    transport: z.enum(['ssh', 'command', 'embedded']).default('ssh'),
    /** A name, an address, or a Host of ssh_config. */
    host: z.string().min(1).optional(),
    user: z.string().min(1).optional(),
    port: z.number().int().min(1).max(65_535).optional(),
    /** A leading `~/` is the home folder. */
    identityFile: z.string().min(1).optional(),
    command: z.array(z.string()).default([]),
    /** How many cores jobs may take there together; by default all. */
    totalSlots: z.number().int().min(1).max(4096).optional(),
    /** Higher is preferred. */
    priority: z.number().int().min(0).max(1000).default(100),
    enabled: z.boolean().default(true),
    tags: names.default([]),
    /** Bytes of content and trees the agent keeps there, in GB (10^9). */
    storeLimitGb: z.number().positive().optional(),
    /** Shifts the agent's clock, ns as a decimal number: for tests, which cannot set a machine's clock. */
    clockShiftNs: z
      .string()
      .regex(/^-?\d{1,19}$/, 'a whole number of nanoseconds, in quotes')
      .default('0'),
    ...workerDefaults,
  })
  .superRefine((worker, context) => {
    if (worker.transport === 'ssh' && worker.host === undefined)
      context.addIssue({ code: 'custom', path: ['host'], message: 'an ssh worker needs a host' });
    if (worker.transport === 'command' && worker.command.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['command'],
        message: 'a worker with transport "command" needs the argv that reaches an agent',
      });
  });
export type WorkerConfig = z.infer<typeof workerConfig>;

const cores = z.number().int().min(1).max(4096);

/** How sure a classification is, 0 to 1. */
const confidence = z.number().min(0).max(1);

/** Words of a command, `*` for any: "cargo bench", "make docs", "gcc". */
const exclusions = z.array(z.string().trim().min(1));

/** The keys of config.toml. */
const settings = {
  general: z
    .strictObject({
      /** false: every command runs here. */
      enabled: z.boolean().default(true),
      /** Each decision and phase on stderr. */
      verbose: z.boolean().default(false),
      logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
      /** By default `log/rchd.log` in the state folder. */
      logFile: z.string().min(1).optional(),
    })
    .prefault({}),
  transfer: z
    .strictObject({
      /** zstd level. */
      compressionLevel: z.number().int().min(1).max(19).default(3),
      /** A project root above this is not carried; MB are 10^6 bytes. */
      maxTransferSizeMb: z.number().positive().default(20_000),
      /** Above this, git's object store is not carried whole: history and the files of HEAD and index are. MB are 10^6 bytes. */
      maxGitSizeMb: z.number().nonnegative().default(500),
      exclude: z
        .strictObject({
          /** Folders and files, relative to a root, that are not carried. None by default: nothing is dropped by its name. */
          patterns: names.default([]),
        })
        .prefault({}),
    })
    .prefault({}),
  classify: z
    .strictObject({
      /** A command whose classification is less sure than this runs here. */
      confidenceThreshold: confidence.default(0.85),
      /** How sure the classification of a kind of command is, where the user knows better; keys as kindKey gives them. */
      confidence: z
        .strictObject(
          Object.fromEntries(commandKinds.map((kind) => [kindKey(kind), confidence.optional()])),
        )
        .prefault({}),
      /** Commands that always run here. */
      exclude: exclusions.default([]),
    })
    .prefault({}),
  execution: z
    .strictObject({
      /** Ends a remote command after so many seconds; 0: never. */
      timeoutSec: z.number().int().min(0).default(0),
      /** The caller's rlimits hold there too. */
      resourceLimits: z.boolean().default(true),
      /** Seconds that a started command goes on without connection, link or daemon; then it is ended with 102. */
      resumeTimeoutSec: z.number().int().min(1).max(86_400).default(120),
      /** Cores that a command asks for which does not say how many it uses; by default those of this machine. */
      cores: cores.optional(),
    })
    .prefault({}),
  /** Commands for which no worker has room. */
  queue: z
    .strictObject({
      /** false: nobody waits for a worker, but runs here at once, as far as `local.max_cores` allows. */
      enabled: z.boolean().default(true),
      /** Seconds that a command waits for room on a worker; then it runs here. */
      maxWaitSec: z.number().min(0).max(86_400).default(60),
      /** Seconds that a heavy command waits for its turn here; then it starts all the same. */
      maxLocalWaitSec: z.number().min(0).max(86_400).default(600),
      /** Of commands that do not say it by RCH_PRIORITY. */
      priority: z.enum(priorities).default('normal'),
    })
    .prefault({}),
  local: z
    .strictObject({
      /** Cores that heavy commands here may keep busy together; by default all. */
      maxCores: cores.optional(),
    })
    .prefault({}),
  environment: z
    .strictObject({
      withhold: names.default([...defaultWithhold]),
      withholdPatterns: names.default([...defaultWithholdPatterns]),
      /** Names or patterns that travel although a list above holds them. */
      pass: names.default([]),
    })
    .prefault({}),
  output: z
    .strictObject({
      /** A line about a command on stderr: auto (slow phases, on a terminal), never, always. */
      notice: z.enum(notices).default('auto'),
    })
    .prefault({}),
  /** What the terms of a worker's score weigh; only their proportions count. */
  selection: z
    .strictObject({
      speed: z.number().min(0).max(1).default(0.35),
      slots: z.number().min(0).max(1).default(0.25),
      affinity: z.number().min(0).max(1).default(0.25),
      cost: z.number().min(0).max(1).default(0.15),
    })
    .prefault({}),
  costBenefit: z
    .strictObject({
      /** A single compiler call that takes less here, ms, stays here. */
      minCompileTimeMs: z.number().min(0).default(1500),
      /** Remote when it takes at most so many times what it takes here. */
      benefitThreshold: z.number().positive().default(3),
      /** Commands that are not weighed: `cargo build --release` is that, with whatever else between and behind. */
      alwaysRemote: names.default([]),
      neverRemote: names.default([]),
    })
    .prefault({}),
  benchmark: z
    .strictObject({
      /** An idle worker is measured again after so many hours; 0: only by `rch workers benchmark`. */
      intervalHours: z.number().min(0).default(24),
      /** A cloud_benchmarker to ask for scores instead of measuring. */
      url: z.url({ protocol: /^https?$/ }).optional(),
    })
    .prefault({}),
  daemon: z
    .strictObject({
      /** Seconds that running commands get when the daemon is told to stop. */
      drainTimeoutSec: z.number().int().min(0).max(86_400).default(30),
      /** Seconds between two questions after the life of a worker; after three without an answer it is unreachable. */
      heartbeatIntervalSec: z.number().min(0.1).max(3600).default(10),
    })
    .prefault({}),
  /** When a worker that loses commands is left alone for a while. */
  breaker: z
    .strictObject({
      /** Lost commands within the window; one that came back before its start counts half. */
      failureThreshold: z.number().min(0.5).max(1000).default(3),
      windowSec: z.number().positive().max(86_400).default(60),
      /** Seconds of the first pause, after which one command is sent on trial; each failed trial doubles it. */
      recoveryTimeoutSec: z.number().positive().max(86_400).default(30),
      longestPauseSec: z.number().positive().max(86_400).default(300),
    })
    .prefault({}),
  deduplication: z
    .strictObject({
      /** A command that is at work for one caller is not run again for another who asks for the same on the same tree. */
      enabled: z.boolean().default(true),
      /** Seconds for which the result of a finished run answers the same question on an untouched tree; 0: never. */
      reuseSec: z.number().int().min(0).max(3600).default(0),
    })
    .prefault({}),
  sandbox: z
    .strictObject({
      /** false: a command has no network on its worker, but for a loopback of its own. */
      network: z.boolean().default(true),
    })
    .prefault({}),
  store: z
    .strictObject({
      /** Bytes of content and trees an agent keeps on its worker, in GB (10^9). */
      limitGb: z.number().positive().default(20),
    })
    .prefault({}),
};

/** What /etc/rch/config.toml and the user's config.toml may hold. */
export const settingsFile = z.strictObject(settings);

/** What the user's workers.toml may hold. */
export const workersFileShape = z.strictObject({
  defaults: z.strictObject(workerDefaults).prefault({}),
  workers: z
    .array(workerConfig)
    .default([])
    .superRefine((workers, context) => {
      const seen = new Set<string>();
      for (const [index, worker] of workers.entries()) {
        if (seen.has(worker.id))
          context.addIssue({
            code: 'custom',
            path: [index, 'id'],
            message: `there is already a worker "${worker.id}"`,
          });
        seen.add(worker.id);
      }
    }),
});

/**
 * What a project's .rch/config.toml may say. It comes with a repository that nobody vouched for, so it can only
 * make less happen: keep commands here, exclude workers, lower a limit.
 */
export const projectFile = z.strictObject({
  project: z
    .strictObject({
      /** false: every command in this project runs here. */
      enabled: z.boolean().default(true),
      /** true: the same, meant as a passing measure. */
      localOnly: z.boolean().default(false),
    })
    .prefault({}),
  workers: z
    .strictObject({
      /** Only these; by default all. */
      allowed: z.array(workerId).optional(),
      /** Before all others, where it can take the command. */
      preferred: workerId.optional(),
      blocked: z.array(workerId).default([]),
      /** Workers whose benchmark scored less are not used; one without a score is. */
      minSpeedScore: z.number().min(0).optional(),
    })
    .prefault({}),
  classify: z
    .strictObject({
      /** Raises the user's threshold; a lower one is the user's to set. */
      confidenceThreshold: confidence.optional(),
      /** Commands that always run here, besides the user's own. */
      exclude: exclusions.default([]),
    })
    .prefault({}),
  transfer: z.strictObject({ maxSizeMb: z.number().positive().optional() }).prefault({}),
  execution: z
    .strictObject({
      /** Cores that this project's commands ask for where they do not say it; no worker gives more than it has free. */
      cores: cores.optional(),
    })
    .prefault({}),
  queue: z
    .strictObject({
      /** Lowers the priority of this project's commands; a higher one is the user's to set. */
      priority: z.enum(priorities).optional(),
    })
    .prefault({}),
  sandbox: z
    .strictObject({
      /** false: this project's commands have no network there; true leaves it to the user's own setting. */
      network: z.boolean().default(true),
    })
    .prefault({}),
});
export type ProjectConfig = z.infer<typeof projectFile>;

/** Everything, merged. */
export const configSchema = z.strictObject({
  ...settings,
  workers: z.array(workerConfig).default([]),
  /** Of the project the request belongs to; all allowed when none was given. */
  project: z
    .strictObject({
      enabled: z.boolean().default(true),
      localOnly: z.boolean().default(false),
      allowedWorkers: z.array(z.string()).optional(),
      preferredWorker: z.string().optional(),
      blockedWorkers: z.array(z.string()).default([]),
      minSpeedScore: z.number().optional(),
    })
    .prefault({}),
});
export type Config = z.infer<typeof configSchema>;

/** The settings nobody changed. */
export function defaultConfig(): Config {
  return configSchema.parse({});
}
