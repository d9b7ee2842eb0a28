/** What a job is and how it ended, in the `json` fields of agent.ts. */
import { z } from 'zod';

/** Why an agent would not do something; each leads to another decision of the link. */
export const refusalKinds = [
  'busy',
  'disk-full',
  'no-sandbox',
  'no-root',
  'bad-path',
  'bad-content',
  'too-large',
  'no-tool',
  'clock-behind',
  /** Its tools or packages are others than it was asked for last. */
  'outdated',
  /** No such job ever began there. */
  'never-seen',
  'internal',
] as const;
export type RefusalKind = (typeof refusalKinds)[number];

/** How long an agent keeps results that nobody took, ms. */
export const KEPT_MS = 7 * 24 * 3600 * 1000;

/** The `json` of `run`; argv, environment, cwd and tool travel as bytes beside it. */
export const jobSpec = z.object({
  /** Roots to mount, outermost first. `path` is latin1-decoded bytes (one char a byte). */
  roots: z.array(
    z.object({ root: z.string(), path: z.string(), policy: z.number().int(), epoch: z.string() }),
  ),
  /** Folders the tool may find on this machine but that are not roots: they exist, empty, there (HOME). */
  hide: z.array(z.string()),
  /**
   * Paths of read-only roots in which the tool may make new files that nobody sees afterwards, beside what was
   * brought, which stays read-only (cargo's locks and its record of use in CARGO_HOME).
   */
  open: z.array(z.string()).default([]),
  /** The shim folder here: on the worker it holds links to the real tools. latin1. */
  shimDir: z.string(),
  shimTools: z.array(z.string()),
  user: z.object({
    name: z.string(),
    uid: z.number(),
    gid: z.number(),
    group: z.string(),
    home: z.string(),
  }),
  /** What the caller's machine is called, and its /etc/localtime (base64, tzfile(5); empty where it has none). */
  machine: z.object({ host: z.string(), zone: z.string() }).default({ host: '', zone: '' }),
  umask: z.number().int(),
  /** StreamKind of 0, 1, 2. */
  streams: z.tuple([z.number(), z.number(), z.number()]),
  joined: z.boolean(),
  window: z.object({ rows: z.number(), cols: z.number(), xpixel: z.number(), ypixel: z.number() }),
  /** base64. */
  termios: z.string(),
  rlimits: z.string(),
  /** As in `ask` of shim.ts, base64; empty: all as by default. */
  signals: z.string().default(''),
  /** Cores to take from the agent's slots; the job's CPU affinity has as many. */
  slots: z.number().int(),
  /** Cores it would use if it had them: with fewer slots than that it is bound to as many CPUs. */
  wished: z.number().int().optional(),
  /** ms that it waits for slots before it is refused as `busy`. */
  slotWaitMs: z.number().default(0),
  /** Path prefixes (latin1) whose programs are not run there but here (cargo run). */
  catchExec: z.array(z.string()),
  network: z.boolean(),
  /** The newest mtime in the trees, ns: the tool starts only when the worker's clock has passed it. */
  newest: z.string(),
  /** Paths (latin1) relative to a project root that are a pure cache: they stay on the worker (cargo's incremental). */
  caches: z.array(z.string()),
  /** The job only makes outputs of its own (a compiler call): it may run beside others in the same roots. */
  concurrent: z.boolean().optional(),
  /** Of such a job: paths (latin1), absolute, that are its own; what else it changes returns with whoever sees it first. */
  outputs: z.array(z.string()).optional(),
});
export type JobSpec = z.infer<typeof jobSpec>;

/** No more are told, nor taken. */
export const MOST_SPECIALS = 1000;

/** A FIFO or a socket that a job left. `root`: its key; `path`: latin1, below it; `mtime`: ns. */
const special = z.object({
  root: z.string(),
  path: z.string(),
  kind: z.enum(['fifo', 'socket']),
  mode: z.number().int(),
  mtime: z.string().regex(/^-?\d{1,19}$/),
});
export type Special = z.infer<typeof special>;

/** The `json` of `ended`. Times in ms, memory in KiB. */
export const jobUsage = z.object({
  wallMs: z.number(),
  userMs: z.number(),
  systemMs: z.number(),
  maxRss: z.number(),
  /** A path outside the roots that the tool tried to write, when it failed on it; empty when none is known. */
  deniedPath: z.string(),
  /** Absolute paths outside the roots that a tool which failed did not find. */
  missingPaths: z.array(z.string()).max(16).default([]),
  /** What it left in project roots and no manifest knows of. */
  specials: z.array(special).max(MOST_SPECIALS).optional(),
});
export type JobUsage = z.infer<typeof jobUsage>;
