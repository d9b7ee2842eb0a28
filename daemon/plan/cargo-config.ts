/** cargo's configuration as it holds for a folder: https://doc.rust-lang.org/cargo/reference/config.html. */
import { posix } from 'node:path';
import { parse } from 'smol-toml';
import { runByAsking } from './cargo-asked.ts';
import type { Watch } from './stat-cache.ts';
import { absolute, exists, isFile, readRaw, upwards } from './files.ts';

export type CargoConfig = {
  /** Files that hold it, nearest first. */
  readonly files: readonly string[];
  /** One that could not be read as TOML: cargo says so best. */
  readonly broken: string | undefined;
  /** A file that holds a credential, which must not travel. */
  readonly secretIn: string | undefined;
  /** `FILE sets KEY`, of what a cargo that is only asked would run; what the user's own CARGO_HOME sets is no matter. */
  readonly runs: string | undefined;
  readonly aliases: ReadonlyMap<string, readonly string[]>;
  /** build.rustc, build.rustc-wrapper, build.rustc-workspace-wrapper, build.rustdoc, target.*.linker, target.*.runner. */
  readonly programs: readonly { readonly key: string; readonly path: string }[];
  /** Folders of source replacement. */
  readonly sources: readonly string[];
  /** build.target. */
  readonly targets: readonly string[];
  /** All flags for rustc and its linker that are set anywhere, as one text. */
  readonly flags: string;
  /** `[env]`: what build scripts and the programs that cargo runs find in their environment. */
  readonly env: readonly (readonly [name: string, value: string])[];
};

type Draft = {
  files: string[];
  broken: string | undefined;
  secretIn: string | undefined;
  runs: string | undefined;
  aliases: Map<string, readonly string[]>;
  programs: { key: string; path: string }[];
  sources: string[];
  targets: string[];
  flags: string[];
  env: [string, string][];
};

type Table = Readonly<Record<string, unknown>>;

function tableOf(value: unknown): Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Table)
    : {};
}

/** A string or a list of strings, split as cargo splits: a string at spaces. */
function wordsOf(value: unknown): readonly string[] | undefined {
  if (typeof value === 'string') return value.split(/\s+/).filter((word) => word !== '');
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
  return undefined;
}

function listOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return wordsOf(value) ?? [];
}

/** The files that cargo reads for a folder, nearest first; `config` wins over `config.toml` where both are. */
export function configFilesFor(folder: string, cargoHome: string, watch: Watch): string[] {
  const places = [
    ...upwards(folder).map((each) => `${each === '/' ? '' : each}/.cargo`),
    cargoHome,
  ];
  const found = places.flatMap((place) => {
    const names = [`${place}/config`, `${place}/config.toml`];
    for (const name of names) watch(name);
    return names.filter(isFile).slice(0, 1);
  });
  return [...new Set(found)];
}

/**
 * A program path in configuration: without a slash it is looked up on PATH, else it is relative to the folder above
 * `.cargo`. Only a runner may have arguments, after spaces.
 */
function programOf(key: string, value: unknown, base: string): { key: string; path: string }[] {
  const first = typeof value === 'string' && !key.endsWith('.runner') ? value : wordsOf(value)?.[0];
  if (first === undefined || first === '') return [];
  return [{ key, path: first.includes('/') ? absolute(first, base) : first }];
}

function mergeTarget(draft: Draft, name: string, value: unknown, base: string): void {
  const target = tableOf(value);
  draft.programs.push(...programOf(`target.${name}.linker`, target['linker'], base));
  draft.programs.push(...programOf(`target.${name}.runner`, target['runner'], base));
  draft.flags.push(...listOf(target['rustflags']), ...listOf(target['rustdocflags']));
}

/** `include`: a list of paths, or of tables with a path. */
function includedIn(value: Table, base: string): { path: string; optional: boolean }[] {
  const include = value['include'];
  const all: readonly unknown[] = Array.isArray(include) ? include : [include];
  return all.flatMap((each) => {
    const path = typeof each === 'string' ? each : tableOf(each)['path'];
    if (typeof path !== 'string') return [];
    return { path: absolute(path, base), optional: tableOf(each)['optional'] === true };
  });
}

/** Paths are relative to `base`: the folder that holds `.cargo` (or CARGO_HOME's parent). True: a secret is in it. */
function merge(draft: Draft, value: Table, base: string): boolean {
  for (const [name, words] of Object.entries(tableOf(value['alias']))) {
    const split = wordsOf(words);
    if (split !== undefined && !draft.aliases.has(name)) draft.aliases.set(name, split);
  }
  const build = tableOf(value['build']);
  for (const key of ['rustc', 'rustc-wrapper', 'rustc-workspace-wrapper', 'rustdoc'])
    if (!draft.programs.some((each) => each.key === `build.${key}`))
      draft.programs.push(...programOf(`build.${key}`, build[key], base));
  draft.flags.push(...listOf(build['rustflags']), ...listOf(build['rustdocflags']));
  if (draft.targets.length === 0) draft.targets.push(...listOf(build['target']));
  for (const [name, target] of Object.entries(tableOf(value['target'])))
    mergeTarget(draft, name, target, base);
  for (const profile of Object.values(tableOf(value['profile'])))
    draft.flags.push(...listOf(tableOf(profile)['rustflags']));
  for (const [name, set] of Object.entries(tableOf(value['env']))) {
    const text = typeof set === 'string' ? set : tableOf(set)['value'];
    if (typeof text === 'string') draft.env.push([name, text]);
  }
  for (const source of Object.values(tableOf(value['source'])))
    for (const key of ['directory', 'local-registry']) {
      const path = tableOf(source)[key];
      if (typeof path === 'string') draft.sources.push(absolute(path, base));
    }
  const registries = [tableOf(value['registry']), ...Object.values(tableOf(value['registries']))];
  return registries.some((each) => 'token' in tableOf(each) || 'secret-key' in tableOf(each));
}

/** Reads a file and what it includes; `own`: the user's, wherever the project came from. */
function readInto(draft: Draft, file: string, own: boolean): void {
  if (draft.files.includes(file) || draft.files.length > 100) return;
  const text = readRaw(file, 1 << 20);
  if (text === undefined) {
    draft.broken ??= file;
    return;
  }
  draft.files.push(file);
  const value = parsed(text);
  if (value === undefined) {
    draft.broken ??= file;
    return;
  }
  const key = own ? undefined : runByAsking(value);
  if (key !== undefined) draft.runs ??= `${file} sets ${key}`;
  const folder = posix.dirname(file);
  if (merge(draft, value, posix.dirname(folder))) draft.secretIn ??= file;
  for (const { path, optional } of includedIn(value, folder))
    if (!optional || exists(path)) readInto(draft, path, own);
}

function parsed(text: string): Table | undefined {
  try {
    return tableOf(parse(Buffer.from(text, 'latin1').toString('utf8')));
  } catch {
    return undefined;
  }
}

/** `--config`, of which the last counts most: the path of a file if there is one, else `KEY=VALUE`. */
function readGiven(draft: Draft, given: readonly string[], folder: string, watch: Watch): void {
  for (const each of given.toReversed()) {
    const path = absolute(each, folder);
    watch(path);
    if (exists(path)) readInto(draft, path, false);
    else merge(draft, parsed(each) ?? {}, folder);
  }
}

/** CARGO_HOME of an environment. */
export function cargoHomeOf(env: ReadonlyMap<string, string>, cwd: string): string {
  const named = env.get('CARGO_HOME');
  if (named !== undefined && named !== '') return absolute(named, cwd);
  return absolute('.cargo', env.get('HOME') ?? '/');
}

/** Reads and merges the configuration for a folder; nearer files win, and `given` (--config) over all. */
export function readCargoConfig(
  folder: string,
  cargoHome: string,
  watch: Watch,
  given: readonly string[] = [],
): CargoConfig {
  const draft: Draft = {
    files: [],
    broken: undefined,
    secretIn: undefined,
    runs: undefined,
    aliases: new Map(),
    programs: [],
    sources: [],
    targets: [],
    flags: [],
    env: [],
  };
  readGiven(draft, given, folder, watch);
  for (const file of configFilesFor(folder, cargoHome, watch))
    readInto(draft, file, posix.dirname(file) === cargoHome);
  for (const file of draft.files) watch(file);
  return { ...draft, flags: draft.flags.join(' ') };
}
