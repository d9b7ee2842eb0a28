/** What a command needs in order to run elsewhere as if it ran here; a PlannedJob without its streams. */
import type { PlannedRoot } from '../../src/protocol/ipc.ts';
import type { MachineFacts } from '../../src/protocol/facts.ts';
import type { Requirement } from '../select/requirement.ts';
import type { BuildScanner } from './build-needs.ts';
import type { Told } from './needs/told-project.ts';
import type { PlanCaches } from './caches.ts';

export type Withheld = { readonly name: string; readonly why: string };

/** Paths are raw (latin1) and absolute. */
export type Plan = {
  /** The program to run: the caller's own path of the tool. */
  readonly tool: string;
  /** The folder that history, affinity and learned reasons go by. */
  readonly project: string;
  readonly roots: readonly PlannedRoot[];
  readonly hide: readonly string[];
  /** Read-only roots in which the tool makes files that nobody needs (CARGO_HOME). */
  readonly open: readonly string[];
  /** `NAME=value`, as the tool gets it. */
  readonly env: readonly string[];
  readonly withheld: readonly Withheld[];
  readonly requirements: readonly Requirement[];
  /** Files that the launcher holds by flock while the job lasts (cargo's). */
  readonly locks: readonly string[];
  readonly catchExec: readonly string[];
  readonly caches: readonly string[];
  /** All that the command writes, where that is known. */
  readonly outputs: readonly string[] | undefined;
  readonly network: boolean;
  readonly slots: number;
  /**
   * To be run here before anything else, when crates are missing. After it, plan again. `mayFail`: the command itself
   * may end well without it, and runs here then.
   */
  readonly first:
    | { readonly path: string; readonly argv: readonly string[]; readonly mayFail: boolean }
    | undefined;
  readonly shimTools: readonly string[];
  /** Why running elsewhere gains nothing: cost alone; RCH_FORCE_REMOTE=1 overrules it. */
  readonly tooSmall: string | undefined;
  readonly estimateMs: number;
  /** Remarks for `rch why`. */
  readonly notes: readonly string[];
};

export type PlanContext = {
  readonly caches: PlanCaches;
  readonly scanner: BuildScanner;
  /** Has a link look at a project root, which it must do for the command anyway; `last` names the look to go on from. */
  readonly look?: (root: PlannedRoot, last: string) => Promise<Told | undefined>;
  /** Why a name of the environment stays here, or undefined (src/config/environment.ts, `withholder`). */
  readonly withheld: (name: string) => string | undefined;
  /** Whether the caller has that descriptor open for the commands it runs; absent for a command nobody called. */
  readonly inherits?: (descriptor: string) => boolean;
  /** Extra files and folders that are not carried, relative to each project root (transfer.exclude.patterns). */
  readonly exclude: readonly string[];
  /** Bytes of a git object store from which on a small one stands in for it (transfer.max_git_size_mb). */
  readonly gitLimit: number;
  readonly machine: MachineFacts;
  /** Cores asked for when a command names none. */
  readonly defaultSlots: number;
  /** True when `first` of an earlier plan has just been run. */
  readonly fetched?: boolean;
  /** Bounds a cargo metadata or the like, ms. */
  readonly deadlineMs: number;
};
