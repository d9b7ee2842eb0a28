/**
 * Every setting there is, with its default and what is allowed. Names are camelCase here and snake_case in files.
 * The same schemas check what a file says (by way of load.ts) and what a process hands another as JSON. Each setting is
 * wrapped in `key`, with its meaning; test/config/walk.test.ts asks for a proof that it changes something.
 */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { commandKinds, kindKey, usualConfidence } from '../base/command-kinds.ts';
import { logLevels } from '../base/log-levels.ts';
import { commandLimit, MOST_MB, storeLimit } from './bounds.ts';
import { defaultWithhold, defaultWithholdPatterns } from './environment.ts';
import { key } from './key.ts';
import { metrics, traces } from './seeing-schema.ts';
import { cores, local, queue } from './waiting-schema.ts';
import { workerConfig, workerId } from './worker-schema.ts';

const names = z.array(z.string().min(1));

/** When a line about a command is shown on stderr; `auto`: slow phases and the end, on a terminal. */
export const notices = ['auto', 'never', 'always'] as const;
export type Notice = (typeof notices)[number];

/** How sure a classification is, 0 to 1. */
export const confidence = z.number().min(0).max(1);

/** Words of a command, `*` for any: "cargo bench", "make docs", "gcc". */
export const exclusions = z.array(z.string().trim().min(1));

/** Paths relative to a root, with or without a slash at the end. */
export const relativePaths = z.array(
  z
    .string()
    .transform((path) => path.replace(/^\.\/+/, '').replace(/\/+$/, ''))
    .pipe(
      z
        .string()
        .min(1, 'must be a path below the project')
        .regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))/, 'must be a path below the project')
        .regex(/^[^*?[\]]*$/, 'is a path; wildcards are not understood here'),
    ),
);

/** Variables for the tool: names as a shell has them, none of ours. */
export const variables = z.record(
  z.string().regex(/^(?!RCH_)[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of a variable for tools'),
  z.string(),
);

/** Tables whose keys are the user's own names and are taken as they stand; dotted, in the file's spelling. */
export const freeTables: ReadonlySet<string> = new Set(['execution.env']);

/** The keys of config.toml. */
const settings = {
  general: z
    .strictObject({
      enabled: key(z.boolean().default(true), 'off: everything runs here', { plan: 'same' }),
      verbose: key(z.boolean().default(false), 'each decision and phase on standard error', {
        plan: 'same',
      }),
      logLevel: key(
        z.enum(logLevels).default('info'),
        '`trace`, `debug`, `info`, `warn`, `error`',
        { plan: 'same' },
      ),
      logFile: key(z.string().min(1).optional(), "the daemon's log; XDG's place for state", {
        plan: '`~/.local/share/rch/rch.log`',
        shown: '`~/.local/state/rch/log/rchd.log`',
        example: '~/.local/state/rch/log/rchd.log',
      }),
      logMaxSizeMb: key(
        z.number().min(0.01).max(10_000).default(10),
        'a log that would get larger becomes `rchd.log.1`, the one before `rchd.log.2`, and so on',
      ),
      logKeepFiles: key(
        z.number().int().min(1).max(99).default(3),
        'how many of these older logs stay',
      ),
    })
    .prefault({}),
  daemon: z
    .strictObject({
      drainTimeoutSec: key(
        z.number().int().min(0).max(86_400).default(30),
        'what running commands get when the daemon is stopped (`rch daemon restart` lets them go on)',
        { plan: 'same' },
      ),
      heartbeatIntervalSec: key(
        z.number().min(0.1).max(3600).default(10),
        'seconds between two signs of life of a worker; after three without one it is connected anew',
        { plan: '`30`' },
      ),
      benchmarkIntervalHours: key(
        z.number().min(0).default(24),
        'how often an idle worker is measured; 0: only by `rch workers benchmark`',
        { plan: '`6`' },
      ),
      pidFile: key(
        z.string().min(1).optional(),
        'a file with the pid of the daemon while it runs',
        {
          plan: '`/tmp/rch.pid`',
          shown: 'none',
          example: '~/.local/state/rch/rchd.pid',
        },
      ),
    })
    .prefault({}),
  transfer: z
    .strictObject({
      compressionLevel: key(
        z.number().int().min(1).max(19).default(3),
        'the highest zstd level, 1 to 19',
        { plan: 'same' },
      ),
      adaptiveCompression: key(
        z.boolean().default(true),
        'a fast link or a busy machine gets a lower level or none; off: always that level',
        { plan: 'in code' },
      ),
      checksum: key(
        z.boolean().default(false),
        'every file is read anew for every command, whatever its times say',
        { plan: 'same' },
      ),
      maxTransferSizeMb: key(
        z.number().positive().max(MOST_MB).default(20_000),
        "a larger project runs here; the plan's bound would keep ordinary ones here, as build folders count",
        { plan: '`500`' },
      ),
      maxGitSizeMb: key(
        z.number().nonnegative().max(MOST_MB).default(500),
        "above it git's objects are not carried whole, see below",
      ),
      timeoutSec: key(
        commandLimit.default(0),
        'a command whose project is not on the worker after so many seconds goes to the next, or runs here; 0: never. A first upload may take long',
        { plan: '`300`' },
      ),
      exclude: z
        .strictObject({
          patterns: key(
            relativePaths.default([]),
            'files and folders, by path from the project, that are not carried; nothing is dropped by its name: a build may read it',
            {
              plan: '`target/`, `.git/objects/`, `node_modules/`, `*.rlib`, `*.rmeta`',
            },
          ),
        })
        .prefault({}),
    })
    .prefault({}),
  artifacts: z
    .strictObject({
      compressionLevel: key(
        z.number().int().min(1).max(19).default(1),
        'the highest zstd level of what comes back',
        { plan: 'same' },
      ),
      incrementalSync: key(
        z.boolean().default(true),
        'files that a command finishes early come back while it runs',
        { plan: 'same' },
      ),
    })
    .prefault({}),
  classify: z
    .strictObject({
      confidenceThreshold: key(
        confidence.default(0.85),
        'a command whose classification is less sure runs here',
        { plan: '`confidence_threshold`' },
      ),
      /** Keys as kindKey gives them. */
      confidence: z
        .strictObject(
          Object.fromEntries(
            commandKinds.map((kind) => [
              kindKey(kind),
              key(confidence.optional(), `how sure the classification of \`${kind}\` is`, {
                shown: 'by kind',
                example: usualConfidence[kind],
              }),
            ]),
          ),
        )
        .prefault({}),
      exclude: key(
        exclusions.default([]),
        'commands that always run here: `["cargo bench", "make docs*", "gcc"]`',
        { plan: 'project-level exclusions' },
      ),
    })
    .prefault({}),
  execution: z
    .strictObject({
      timeoutSec: key(
        commandLimit.default(0),
        'ends a remote command after so many seconds; 0: never, as a limit kills builds that would have ended',
        { plan: '`3600`' },
      ),
      resourceLimits: key(z.boolean().default(true), "the caller's rlimits hold there too", {
        plan: 'same',
      }),
      resumeTimeoutSec: key(
        z.number().int().min(1).max(86_400).default(120),
        'how long a running command waits for its connection or daemon to come back; then it ends with 102',
      ),
      fallbackToLocal: key(
        z.boolean().default(true),
        'off: a command that should go to a worker, and finds none, ends with 102 instead of running here',
        { plan: 'same' },
      ),
      env: key(
        variables.default({}),
        'variables for commands on workers; what changes results makes local and remote builds differ',
        { plan: 'in code' },
      ),
      cores: key(
        cores.optional(),
        'cores that a command asks for which does not say how many it uses',
        { plan: 'in a project', shown: 'those of this machine', example: availableParallelism() },
      ),
    })
    .prefault({}),
  queue,
  local,
  environment: z
    .strictObject({
      withhold: key(
        names.default([...defaultWithhold]),
        'names that do not travel, such as `SSH_AUTH_SOCK` and `DATABASE_URL`',
        { shown: 'session and secrets' },
      ),
      withholdPatterns: key(names.default([...defaultWithholdPatterns]), 'the same by pattern', {
        shown: '`*_TOKEN`, `*_SECRET`, …',
      }),
      pass: key(names.default([]), 'names or patterns that travel nevertheless'),
    })
    .prefault({}),
  output: z
    .strictObject({
      notice: key(
        z.enum(notices).default('auto'),
        'on a terminal a line at the end and one for a slow phase; `never`; `always`',
      ),
    })
    .prefault({}),
  /** What the terms of a worker's score weigh; only their proportions count. */
  selection: z
    .strictObject({
      speed: key(z.number().min(0).max(1).default(0.35), 'what its speed weighs in a score', {
        plan: 'same',
      }),
      slots: key(z.number().min(0).max(1).default(0.25), 'what free slots weigh', { plan: 'same' }),
      affinity: key(
        z.number().min(0).max(1).default(0.25),
        'what weighs that it has the project already',
        { plan: 'same' },
      ),
      cost: key(z.number().min(0).max(1).default(0.15), 'what the time saved weighs', {
        plan: 'same',
      }),
    })
    .prefault({}),
  costBenefit: z
    .strictObject({
      minCompileTimeMs: key(
        z.number().min(0).default(1500),
        'a single compiler call below it stays here; builds are judged by what they took',
        { plan: '`2000`' },
      ),
      benefitThreshold: key(
        z.number().positive().default(3),
        'remote when it takes at most so many times as long as here: a cool machine is worth some waiting',
        { plan: '`0.8`' },
      ),
      alwaysRemote: key(
        names.default([]),
        'commands that are not weighed: `cargo build --release` is that, with whatever else between and behind',
        { plan: 'examples' },
      ),
      neverRemote: key(names.default([]), 'the same for those that stay here', {
        plan: 'examples',
      }),
    })
    .prefault({}),
  benchmark: z
    .strictObject({
      url: key(
        z.url({ protocol: /^https?$/ }).optional(),
        'a cloud_benchmarker to ask for scores instead of measuring: the newest of the last 7 days, which alone count then',
        { plan: 'in code', shown: 'none', example: 'http://benchmarks.example:8080' },
      ),
    })
    .prefault({}),
  deduplication: z
    .strictObject({
      enabled: key(
        z.boolean().default(true),
        'identical commands on one tree at the same time run once, see below',
        { plan: 'in code' },
      ),
      reuseSec: key(
        z.number().int().min(0).max(3600).default(0),
        'so many seconds a finished result answers the same command on an untouched tree, with its old output, as if it had run; 0: never',
      ),
    })
    .prefault({}),
  sandbox: z
    .strictObject({
      network: key(
        z.boolean().default(true),
        'false: commands on workers have a loopback of their own and no network; a worker that cannot do that is not used',
      ),
    })
    .prefault({}),
  store: z
    .strictObject({
      limitGb: key(storeLimit.default(20), 'what an agent may keep on its worker, GB'),
    })
    .prefault({}),
  workers: z
    .strictObject({
      configFile: key(z.string().min(1).optional(), 'where your workers are written down', {
        plan: 'same',
        shown: '`workers.toml` beside `config.toml`',
        example: '~/.config/rch/workers.toml',
      }),
      allowed: key(z.array(workerId).optional(), 'only these are used', {
        plan: 'in code',
        shown: 'all',
        example: ['css'],
      }),
    })
    .prefault({}),
  hooks: z
    .strictObject({
      preTransfer: key(z.string().default(''), 'shell command here before the project is sent', {
        plan: 'same',
      }),
      postCompile: key(
        z.string().default(''),
        'shell command here when the results of a remote command are in place',
        { plan: 'same' },
      ),
      onFallback: key(
        z.string().default(''),
        'shell command here when a command that should have gone to a worker runs here',
        { plan: 'same' },
      ),
      timeoutSec: key(
        z.number().min(0.1).max(3600).default(30),
        'what a hook may take before it is ended',
      ),
    })
    .prefault({}),
  breaker: z
    .strictObject({
      failureThreshold: key(
        z.number().min(0.5).max(1000).default(3),
        'commands lost on a worker within the window that leave it alone for a while; one that came back before its start counts half',
        { plan: '`5`, in code' },
      ),
      windowSec: key(
        z.number().positive().max(86_400).default(60),
        'the window in which losses are counted',
        { plan: 'in code' },
      ),
      recoveryTimeoutSec: key(
        z.number().positive().max(86_400).default(30),
        'the first pause, after which one command is sent on trial; each failed trial doubles it',
        { plan: 'in code' },
      ),
      longestPauseSec: key(
        z.number().positive().max(86_400).default(300),
        'no pause is longer than this',
      ),
    })
    .prefault({}),
  metrics,
  traces,
};

/** What /etc/rch/config.toml and the user's config.toml may hold. */
export const settingsFile = z.strictObject(settings);

/** Of the project the request belongs to; all allowed when none was given. */
const project = z
  .strictObject({
    enabled: z.boolean().default(true),
    localOnly: z.boolean().default(false),
    /** Projects with one id share what is learned of times. */
    id: z.string().optional(),
    name: z.string().optional(),
    allowedWorkers: z.array(z.string()).optional(),
    preferredWorker: z.string().optional(),
    blockedWorkers: z.array(z.string()).default([]),
    minSpeedScore: z.number().optional(),
    /** Keys of its file that wait for `rch trust`, in the file's spelling. */
    untrusted: z.array(z.string()).default([]),
  })
  .prefault({});

const { workers: pool, ...rest } = settings;

/** Everything, merged. `pool` is [workers] of config.toml, `workers` those of workers.toml. */
export const configSchema = z.strictObject({
  ...rest,
  pool,
  workers: z.array(workerConfig).default([]),
  project,
});
export type Config = z.infer<typeof configSchema>;

let defaults: Config | undefined;

/** The settings nobody changed; the same object each time. */
export function defaultConfig(): Config {
  defaults ??= configSchema.parse({});
  return defaults;
}
