/** What a machine is: the same facts are taken here and on each worker, and compared before a command may leave. */
import { z } from 'zod';

/** One tool, as the first file of that name on PATH answered. */
export const toolFacts = z.object({
  name: z.string(),
  path: z.string(),
  /** The whole first line of `--version`; for compilers also `-dumpfullversion`. */
  version: z.string(),
  /** `-dumpmachine`, for compilers; else empty. */
  target: z.string(),
});
export type ToolFacts = z.infer<typeof toolFacts>;

export const sandboxFacts = z.object({
  /** The best method that worked when tried; `none`: refused, see `mend`. */
  method: z.enum(['namespaces', 'bubblewrap', 'folder', 'none']),
  /** What would make a better method work, in words with a command; empty when nothing is missing. */
  mend: z.string(),
});

/** Sizes in bytes, the clock is CLOCK_REALTIME. */
export const machineFacts = z.object({
  /** `uname -m`. */
  arch: z.string(),
  kernel: z.string(),
  /** `glibc 2.36`, `musl 1.2.4`. */
  libc: z.string(),
  hostname: z.string(),
  /** /etc/os-release PRETTY_NAME. */
  system: z.string(),
  cores: z.number().int(),
  memory: z.number(),
  diskFree: z.number(),
  cpuModel: z.string(),
  /** The flags line of /proc/cpuinfo, sorted. */
  cpuFlags: z.array(z.string()),
  /** Installed packages, name (with :arch where foreign; rpm's with .arch) to version; empty where no known package manager answers. */
  packages: z.record(z.string(), z.string()),
  packageManager: z.enum(['dpkg', 'rpm', 'apk', 'pacman', 'none']),
  tools: z.array(toolFacts),
  /** Of the paths that were asked for (latin1), whether something is there. */
  paths: z.record(z.string(), z.boolean()).optional(),
  /** Where those lead that are symlinks: realpath(3), latin1. */
  links: z.record(z.string(), z.string()).optional(),
  /** What in /usr/local hides a package's header or library: `PATH SIZE`, or `PATH/` of a folder. */
  shadows: z.array(z.string()).optional(),
});
export type MachineFacts = z.infer<typeof machineFacts>;

export const agentFacts = machineFacts.extend({
  user: z.string(),
  uid: z.number().int(),
  /** Absolute path of the agent's folder. */
  folder: z.string(),
  node: z.string(),
  /** Which agent it is: the hash of its programs, '' from one that does not say. */
  agent: z.string().default(''),
  sandbox: sandboxFacts,
  totalSlots: z.number().int(),
  usedSlots: z.number().int(),
  /** Those of `usedSlots` that jobs of the asking workstation hold. */
  ownSlots: z.number().int().default(0),
  /** Jobs whose results it keeps; absent from an agent that does not say. */
  kept: z.array(z.string()).optional(),
  /** Root key to epoch of every tree the agent holds. */
  roots: z.record(z.string(), z.string()),
});
export type AgentFacts = z.infer<typeof agentFacts>;

/** The `json` of `vitals`: how a worker is beside what our jobs do. */
const vitalsFacts = z.object({
  /** Cores that others keep busy there, at least. */
  load: z.number().nonnegative(),
});
type VitalsFacts = z.infer<typeof vitalsFacts>;

/** Undefined for what is not one. */
export function parseVitals(json: Buffer): VitalsFacts | undefined {
  try {
    const parsed = vitalsFacts.safeParse(JSON.parse(json.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The `json` of `hello`: who connects. */
export const helloFacts = z.object({
  /** Random, made once per workstation and user; separates their roots on a shared worker. */
  workstation: z.string(),
  storeLimit: z.number(),
  totalSlots: z.number().int().optional(),
  /** Slots for each core, where totalSlots is not given. */
  slotsPerCore: z.number().positive().optional(),
  /** Seconds a started job may stay without its owner. */
  ownerDeadline: z.number(),
  /** Seconds between two pings of the link; one that is silent for several is gone. */
  heartbeat: z.number().positive().optional(),
  /** Shifts the agent's clock, in ns: for tests, which cannot set a machine's clock. */
  clockShift: z.string().default('0'),
  /** zstd level of what the agent sends (3 when not given); 0 never packs. It packs only while the connection is the slower part. */
  compression: z.number().int().min(0).max(19).optional(),
  /** False: always that level, whatever link and CPU are like. */
  adaptive: z.boolean().optional(),
});
export type HelloFacts = z.infer<typeof helloFacts>;

/** The `json` of `benchmarked`: what src/agent/benchmark.ts measured. */
export const benchmarkFacts = z.object({
  /** Rounds a second of symbol-table work on one core, and on all cores together. */
  single: z.number(),
  all: z.number(),
  /** MB (10^6) a second: copying in memory, and writing to the disk of the agent's folder. */
  memory: z.number(),
  disk: z.number(),
  /** A fixed program by `cc -O2`; null where there is no C compiler. */
  compileMs: z.number().nullable(),
});
export type BenchmarkFacts = z.infer<typeof benchmarkFacts>;

/** The `json` of `probe`: names of tools, and absolute paths. */
export const probeRequest = z.object({ tools: z.array(z.string()) });
