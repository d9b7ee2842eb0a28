/** cargo: which subcommands build, and what their options say about where. */
import { posix } from 'node:path';
import { coresOf } from './cores.ts';
import {
  hasOption,
  lastValue,
  splitWords,
  valuesOf,
  type Option,
  type OptionTable,
} from './options.ts';
import type { AliasLookup, Request } from './request.ts';
import {
  heavy,
  light,
  type Candidate,
  type CommandKind,
  type LocalVerdict,
  type Verdict,
} from './verdict.ts';

/** Options as `cargo build --help` and its kin list them (cargo 1.95, cargo-nextest 0.9). */
const table: OptionTable = {
  shortValue: 'pjFZCE',
  shortOptional: '',
  shortNumber: '',
  longValue: new Set([
    'exclude',
    'features',
    'profile',
    'jobs',
    'target-dir',
    'manifest-path',
    'message-format',
    'color',
    'config',
    'artifact-dir',
    'out-dir',
    'lockfile-path',
    'cargo-profile',
    'build-jobs',
    'filterset',
    'filter-expr',
    'test-threads',
    'retries',
    'partition',
    'run-ignored',
    'failure-output',
    'success-output',
    'status-level',
    'final-status-level',
    'max-fail',
    'tool-config-file',
    'config-file',
    'user-config-file',
  ]),
  longOptional: new Set(['package', 'bin', 'example', 'test', 'bench', 'target']),
};

const builtinAliases: Readonly<Record<string, string>> = {
  b: 'build',
  c: 'check',
  d: 'doc',
  t: 'test',
  r: 'run',
  rm: 'remove',
};

const kinds: Readonly<Record<string, CommandKind>> = {
  build: 'cargo build',
  check: 'cargo check',
  clippy: 'cargo clippy',
  test: 'cargo test',
  bench: 'cargo bench',
  doc: 'cargo doc',
  rustc: 'cargo rustc',
  rustdoc: 'cargo rustdoc',
  nextest: 'cargo nextest',
  run: 'cargo run',
};

/** ms, on a middling machine; history soon knows better. */
const estimates: Readonly<Record<string, number>> = {
  check: 5000,
  clippy: 6000,
  test: 20_000,
  nextest: 20_000,
};

const asks = new Map(
  [
    'metadata',
    'tree',
    'search',
    'locate-project',
    'pkgid',
    'read-manifest',
    'verify-project',
    'info',
    'help',
    'version',
    'config',
    'report',
    'outdated',
    'audit',
    'deny',
  ].map((name) => [name, 'only asks']),
);
const edits = new Map([
  ...['add', 'remove', 'update', 'generate-lockfile', 'upgrade', 'set-version'].map(
    (name) => [name, 'edits the manifest or the lock file'] as const,
  ),
  ...['init', 'new', 'generate'].map((name) => [name, 'scaffolds a project'] as const),
  ...['clean', 'cache', 'sweep'].map((name) => [name, 'cleans folders of this machine'] as const),
  ...['login', 'logout', 'owner', 'yank', 'publish', 'package', 'release'].map(
    (name) => [name, 'publishes or handles credentials'] as const,
  ),
  ...['install', 'uninstall', 'binstall'].map(
    (name) => [name, 'installs on this machine'] as const,
  ),
  ...['fmt', 'fix'].map((name) => [name, 'rewrites sources'] as const),
  ...['fetch', 'vendor'].map((name) => [name, 'downloads to this machine'] as const),
  ...['watch'].map((name) => [name, 'watches this machine'] as const),
]);
const heavyOnes = new Set(['install', 'binstall', 'package', 'publish', 'fix', 'watch', 'release']);
const servers = /^(--(serve|server|listen|daemon|watch)(=.*)?|-s)$/;

type Head = {
  readonly toolchain: string | undefined;
  readonly globals: readonly Option[];
  readonly subcommand: string | undefined;
  readonly tail: readonly string[];
};

/** `cargo [+toolchain] [options] subcommand …`. */
function headOf(words: readonly string[]): Head {
  const first = words[0];
  const toolchain = first?.startsWith('+') === true ? first.slice(1) : undefined;
  const after = toolchain === undefined ? words : words.slice(1);
  const { options, rest } = splitWords(after, table, true);
  return { toolchain, globals: options, subcommand: rest[0], tail: rest.slice(1) };
}

function localSubcommand(name: string): LocalVerdict | undefined {
  const reason = edits.get(name) ?? asks.get(name);
  if (reason === undefined) return undefined;
  return heavyOnes.has(name) ? heavy(`cargo ${name} ${reason}`) : light(`cargo ${name} ${reason}`);
}

function refusal(
  name: string,
  options: readonly Option[],
  rest: readonly string[],
): Verdict | undefined {
  if (hasOption(options, 'help', 'h', 'version', 'V', 'list', 'explain'))
    return light(`cargo ${name} is only asked for help or its version`);
  if (hasOption(options, 'build-plan', 'unit-graph', 'print'))
    return light(`cargo ${name} is only asked what it would do`);
  if (hasOption(options, 'fix')) return heavy(`cargo ${name} --fix rewrites sources`);
  if (hasOption(options, 'open')) return heavy(`cargo ${name} --open opens a browser here`);
  if (name === 'run' && rest.some((word) => servers.test(word)))
    return heavy('cargo run starts a server, which belongs to this machine');
  if (hasOption(options, 'archive-file', 'extract-to', 'cargo-metadata', 'binaries-metadata'))
    return heavy(`cargo ${name} works from an archive`);
  return undefined;
}

function directoryOf(request: Request, options: readonly Option[]): string {
  return valuesOf(options, 'C').reduce((from, to) => posix.resolve(from, to), request.cwd);
}

function profileOf(name: string, options: readonly Option[]): string | undefined {
  const named = lastValue(options, ...(name === 'nextest' ? ['cargo-profile'] : ['profile']));
  if (named !== undefined) return named;
  if (hasOption(options, 'release', 'r') || name === 'bench') return 'release';
  return undefined;
}

/** nextest has options of its own by these names. */
function voiceOf(name: string, options: readonly Option[]): string[] {
  return options.flatMap((each) => {
    if (each.name === 'color' && each.value !== undefined) return ['--color', each.value];
    if (name === 'nextest') return [];
    if (each.name === 'q' || each.name === 'quiet') return ['-q'];
    return each.name === 'v' || each.name === 'verbose' ? ['-v'] : [];
  });
}

function namedTargets(options: readonly Option[]): { type: string; name: string }[] {
  return ['bin', 'example', 'test', 'bench'].flatMap((type) =>
    valuesOf(options, type).map((name) => ({ type, name })),
  );
}

function candidate(
  request: Request,
  head: Head,
  name: string,
  split: { options: readonly Option[]; rest: readonly string[] },
): Candidate {
  const options = [...head.globals, ...split.options];
  const jobs = name === 'nextest' ? ['build-jobs'] : ['jobs', 'j'];
  return {
    kind: 'candidate',
    family: 'cargo',
    command: kinds[name] ?? 'cargo build',
    subcommand: name,
    cores: coresOf(lastValue(options, ...jobs) ?? request.env.get('CARGO_BUILD_JOBS')),
    estimateMs: estimates[name] ?? 10_000,
    tooSmall: undefined,
    toolchain: head.toolchain,
    // -C is an option before the subcommand alone.
    directory: directoryOf(request, head.globals),
    manifestPath: lastValue(options, 'manifest-path'),
    targetDir: lastValue(options, 'target-dir'),
    lockfilePath: lastValue(options, 'lockfile-path'),
    targets: valuesOf(options, 'target'),
    configs: valuesOf(options, 'config'),
    unstable: valuesOf(options, 'Z'),
    voice: voiceOf(name, options),
    features: {
      named: valuesOf(options, 'features', 'F'),
      all: hasOption(options, 'all-features'),
      noDefault: hasOption(options, 'no-default-features'),
    },
    profile: profileOf(name, options),
    packages: valuesOf(options, 'package', 'p'),
    named: namedTargets(options),
    offline: hasOption(options, 'offline', 'frozen'),
    locked: hasOption(options, 'locked', 'frozen'),
    rest: split.rest,
    outDirs: valuesOf(options, 'artifact-dir', 'out-dir'),
  };
}

/** An alias stands for words that are put in place of its name; it cannot hide a built-in command. */
function expand(request: Request, head: Head, aliases: AliasLookup): Head | undefined {
  const name = head.subcommand;
  const where = {
    directory: directoryOf(request, head.globals),
    configs: valuesOf(head.globals, 'config'),
  };
  const words = name === undefined ? undefined : aliases(name, where);
  if (words === undefined) return undefined;
  const { options, rest } = splitWords(words, table, true);
  return {
    toolchain: head.toolchain,
    globals: [...head.globals, ...options],
    subcommand: rest[0],
    tail: [...rest.slice(1), ...head.tail],
  };
}

function classifyHead(request: Request, head: Head, aliases: AliasLookup, depth: number): Verdict {
  const globalNo = refusal('', head.globals, []);
  if (globalNo !== undefined) return globalNo;
  if (head.subcommand === undefined) return light('cargo without a subcommand only shows its help');
  const name = builtinAliases[head.subcommand] ?? head.subcommand;
  const never = localSubcommand(name);
  if (never !== undefined) return never;
  if (!(name in kinds)) {
    const expanded = depth < 8 ? expand(request, head, aliases) : undefined;
    if (expanded !== undefined) return classifyHead(request, expanded, aliases, depth + 1);
    return heavy(`cargo ${name} is not known to only build`);
  }
  if (name === 'nextest' && head.tail[0] !== 'run' && head.tail[0] !== 'r')
    return head.tail.some((word) => word === 'run' || word === 'r')
      ? heavy('cargo nextest with options before its subcommand')
      : light(`cargo nextest ${head.tail[0] ?? ''} does not run tests`);
  const tail = name === 'nextest' ? head.tail.slice(1) : head.tail;
  const split = splitWords(tail, table, name === 'run');
  const no = refusal(name, [...head.globals, ...split.options], split.rest);
  return no ?? candidate(request, head, name, split);
}

export function classifyCargo(request: Request, aliases: AliasLookup): Verdict {
  return classifyHead(request, headOf(request.argv.slice(1)), aliases, 0);
}
