/** What a command is, as far as argv and environment tell; every no carries its reason. */

import type { CommandKind } from '../../src/base/command-kinds.ts';

export type { CommandKind };

/** `light`: milliseconds (a query); `heavy`: a build or something as long, which queues by lease. */
export type LocalVerdict = {
  readonly kind: 'local';
  readonly reason: string;
  readonly weight: 'light' | 'heavy';
};

type Common = {
  readonly kind: 'candidate';
  readonly command: CommandKind;
  /** Cores the command will use: from -j, --jobs, CARGO_BUILD_JOBS …; undefined when it takes all it finds. */
  readonly cores: number | undefined;
  /** `cores` is 1 because the command does not say: a makefile may. */
  readonly serial?: boolean;
  /** A guess at the run here in ms, for when history knows nothing. */
  readonly estimateMs: number;
  /** Why running elsewhere gains nothing (a configure probe): a matter of cost alone, never of safety. */
  readonly tooSmall: string | undefined;
};

/** Paths here are as on the command line: relative to `cwd` unless absolute. */
export type CargoFacts = {
  readonly family: 'cargo';
  readonly subcommand: string;
  /** `+NAME`, without the plus. */
  readonly toolchain: string | undefined;
  /** The folder cargo works in: the caller's, changed by -C; absolute. */
  readonly directory: string;
  readonly manifestPath: string | undefined;
  readonly targetDir: string | undefined;
  readonly lockfilePath: string | undefined;
  /** --target values, in order. */
  readonly targets: readonly string[];
  /** --config values (KEY=VALUE or a file). */
  readonly configs: readonly string[];
  readonly unstable: readonly string[];
  /** How loud and colourful cargo is asked to be: -q, -v, --color, as `cargo fetch` takes them too. */
  readonly voice: readonly string[];
  readonly features: {
    readonly named: readonly string[];
    readonly all: boolean;
    readonly noDefault: boolean;
  };
  readonly profile: string | undefined;
  readonly packages: readonly string[];
  /** Targets asked for by name: --bin, --example, --test, --bench. */
  readonly named: readonly { readonly type: string; readonly name: string }[];
  readonly offline: boolean;
  readonly locked: boolean;
  /** What the program run at the end gets (after `--`). */
  readonly rest: readonly string[];
  /** Output folders outside the target folder: --artifact-dir, --out-dir. */
  readonly outDirs: readonly string[];
};

export type CompilerFacts = {
  readonly family: 'compiler';
  readonly language: 'c' | 'c++' | 'other';
  /** Sources, objects and libraries named, and files that flags read (-include, -specs, version scripts, @files). */
  readonly inputs: readonly string[];
  /** Files that the call writes, as far as argv tells; folders for -dumpdir and the like. */
  readonly outputs: readonly string[];
  /** Every file that the call writes, so that it may run beside others; undefined where flags make more of them. */
  readonly own: readonly string[] | undefined;
  /** Folders searched: -I, -isystem, -iquote, -idirafter, -L, -B, --sysroot, -F. */
  readonly folders: readonly string[];
  /** -l names. */
  readonly libraries: readonly string[];
  readonly links: boolean;
  /** -march=native and its kin. */
  readonly nativeCpu: boolean;
  /** -fuse-ld=NAME, or undefined. */
  readonly linker: string | undefined;
  /** @files whose words belong to this call and have yet to be read (then classify again with them expanded). */
  readonly responseFiles: readonly string[];
  /** Words of which it is not known whether they name something on disk. */
  readonly others: readonly string[];
};

export type RustcFacts = {
  readonly family: 'rustc';
  readonly toolchain: string | undefined;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** -L paths, --out-dir, --sysroot. */
  readonly folders: readonly string[];
  readonly libraries: readonly string[];
  readonly targets: readonly string[];
  readonly linker: string | undefined;
  readonly links: boolean;
  readonly nativeCpu: boolean;
};

export type BuildToolFacts = {
  readonly family: 'make' | 'ninja' | 'cmake' | 'meson';
  /** Where the tool works: the caller's folder, changed by -C or --build; absolute. */
  readonly directory: string;
  /** The build preset of CMake in that folder that says where cmake works. */
  readonly preset?: string;
  /** Build files named on the command line: -f, --include-dir, … */
  readonly files: readonly string[];
  readonly folders: readonly string[];
  readonly targets: readonly string[];
  /** make's NAME=value words. */
  readonly variables: ReadonlyMap<string, string>;
};

export type Candidate = Common & (CargoFacts | CompilerFacts | RustcFacts | BuildToolFacts);
export type Verdict = LocalVerdict | Candidate;

/** A short local verdict: a query, or something that is over at once. */
export function light(reason: string): LocalVerdict {
  return { kind: 'local', reason, weight: 'light' };
}

/** A local verdict for something that may take long. */
export function heavy(reason: string): LocalVerdict {
  return { kind: 'local', reason, weight: 'heavy' };
}
