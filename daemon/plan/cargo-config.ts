/** cargo's configuration as it holds for a folder: https://doc.rust-lang.org/cargo/reference/config.html. */
import { posix } from 'node:path';
import { parse } from 'smol-toml';
import type { Watch } from './stat-cache.ts';
import { absolute, isFile, readRaw, upwards } from './files.ts';

export type CargoConfig = {
  /** Files that hold it, nearest first. */
  readonly files: readonly string[];
  /** One that could not be read as TOML: cargo says so best. */
  readonly broken: string | undefined;
  /** A file that holds a credential, which must not travel. */
  readonly secretIn: string | undefined;
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

/** A program path in configuration: without a slash it is looked up on PATH, else it is relative to the folder above `.cargo`. */
function programOf(key: string, value: unknown, base: string): { key: string; path: string }[] {
  const first = wordsOf(value)?.[0];
  if (first === undefined || first === '') return [];
  return [{ key, path: first.includes('/') ? absolute(first, base) : first }];
}

function mergeTarget(draft: Draft, name: string, value: unknown, base: string): void {
  const target = tableOf(value);
  draft.programs.push(...programOf(`target.${name}.linker`, target['linker'], base));
  draft.programs.push(...programOf(`target.${name}.runner`, target['runner'], base));
  draft.flags.push(...listOf(target['rustflags']), ...listOf(target['rustdocflags']));
}

function merge(draft: Draft, value: Table, file: string): void {
  // Paths are relative to the folder that holds `.cargo` (or to CARGO_HOME's parent).
  const base = posix.dirname(posix.dirname(file));
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
  if (registries.some((each) => 'token' in tableOf(each) || 'secret-key' in tableOf(each)))
    draft.secretIn ??= file;
  for (const included of listOf(value['include'])) {
    const path = absolute(included, posix.dirname(file));
    readInto(draft, path);
  }
}

function readInto(draft: Draft, file: string): void {
  if (draft.files.includes(file) || draft.files.length > 100) return;
  const text = readRaw(file, 1 << 20);
  if (text === undefined) {
    draft.broken ??= file;
    return;
  }
  draft.files.push(file);
  let value: unknown;
  try {
    value = parse(Buffer.from(text, 'latin1').toString('utf8'));
  } catch {
    draft.broken ??= file;
    return;
  }
  merge(draft, tableOf(value), file);
}

/** CARGO_HOME of an environment. */
export function cargoHomeOf(env: ReadonlyMap<string, string>, cwd: string): string {
  const named = env.get('CARGO_HOME');
  if (named !== undefined && named !== '') return absolute(named, cwd);
  return absolute('.cargo', env.get('HOME') ?? '/');
}

/** Reads and merges the configuration for a folder; nearer files win. */
export function readCargoConfig(folder: string, cargoHome: string, watch: Watch): CargoConfig {
  const draft: Draft = {
    files: [],
    broken: undefined,
    secretIn: undefined,
    aliases: new Map(),
    programs: [],
    sources: [],
    targets: [],
    flags: [],
    env: [],
  };
  for (const file of configFilesFor(folder, cargoHome, watch)) readInto(draft, file);
  for (const file of draft.files) watch(file);
  return { ...draft, flags: draft.flags.join(' ') };
}
