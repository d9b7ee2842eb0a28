/** cargo's configuration as it holds for a folder: https://doc.rust-lang.org/cargo/reference/config.html. */
import { posix } from 'node:path';
import { parse } from 'smol-toml';
import { runByAsking } from './cargo-asked.ts';
import type { Watch } from './stat-cache.ts';
import {
  entriesAt,
  listOf,
  merge,
  pathOf,
  tableOf,
  textOf,
  valueAt,
  valuesIn,
  wordsOf,
  type Table,
  type Value,
  type Values,
} from './cargo-values.ts';
import { absolute, exists, isFile, rawOf, readRaw, upwards } from './files.ts';

/** A variable of `[env]`. */
export type ConfiguredVariable = {
  readonly name: string;
  /** Raw; with `relative = true`, the path it comes to. */
  readonly value: string;
  /** It counts also where the environment has one of that name. */
  readonly force: boolean;
};

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
  /** resolver.lockfile-path; with `{workspace-root}` in it behind a folder that does not matter. */
  readonly lockfile: string | undefined;
  /** All flags for rustc and its linker that are set anywhere, as one text. */
  readonly flags: string;
  /** `[env]`: what build scripts and the programs that cargo runs find in their environment. */
  readonly env: readonly ConfiguredVariable[];
};

/** What is gathered while files are read. */
type Reading = Pick<CargoConfig, 'broken' | 'secretIn' | 'runs'> & { readonly files: string[] };
type Draft = { -readonly [Key in keyof Reading]: Reading[Key] };

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
function programOf(key: string, value: Value | undefined): { key: string; path: string }[] {
  const first = (key.endsWith('.runner') ? undefined : textOf(value)) ?? wordsOf(value)?.[0];
  if (value === undefined || first === undefined || first === '') return [];
  return [{ key, path: first.includes('/') ? absolute(first, value.base) : first }];
}

function programsIn(values: Values): CargoConfig['programs'] {
  const build = ['rustc', 'rustc-wrapper', 'rustc-workspace-wrapper', 'rustdoc'];
  return [
    ...build.flatMap((key) => programOf(`build.${key}`, valueAt(values, 'build', key))),
    ...entriesAt(values, 'target').flatMap(([name]) =>
      ['linker', 'runner'].flatMap((key) =>
        programOf(`target.${name}.${key}`, valueAt(values, 'target', name, key)),
      ),
    ),
  ];
}

function flagsIn(values: Values): string {
  const places = [
    ['build'],
    ...['target', 'profile'].flatMap((top) =>
      entriesAt(values, top).map(([name]) => [top, name] as const),
    ),
  ];
  return places
    .flatMap((place) =>
      ['rustflags', 'rustdocflags'].flatMap((key) => listOf(valueAt(values, ...place, key))),
    )
    .join(' ');
}

function variablesIn(values: Values): ConfiguredVariable[] {
  return entriesAt(values, 'env').flatMap(([name, set]) => {
    const text = textOf(set.kind === 'table' ? set.entries.get('value') : set);
    if (text === undefined) return [];
    const is = (key: string): boolean => {
      const value = valueAt(values, 'env', name, key);
      return value?.kind === 'plain' && value.value === true;
    };
    const value = is('relative') ? absolute(text, set.base) : text;
    return { name, value, force: is('force') };
  });
}

/** `include`: a list of paths, or of tables with a path. */
function includedIn(value: Table): { path: string; optional: boolean }[] {
  const include = value['include'];
  const all: readonly unknown[] = Array.isArray(include) ? include : [include];
  return all.flatMap((each) => {
    const path = typeof each === 'string' ? each : tableOf(each)['path'];
    if (typeof path !== 'string') return [];
    return { path: rawOf(path), optional: tableOf(each)['optional'] === true };
  });
}

function hasToken(value: Table): boolean {
  const registries = [tableOf(value['registry']), ...Object.values(tableOf(value['registries']))];
  return registries.some((each) => 'token' in tableOf(each) || 'secret-key' in tableOf(each));
}

/**
 * Reads a file and what it includes: later ones count more than earlier ones, and the file itself most. Its paths are
 * relative to the folder above its own, as the path by which it was found says. `own`: it is the user's, wherever
 * the project came from.
 */
function read(draft: Draft, found: string, own: boolean): Values {
  const folder = posix.dirname(found);
  const base = posix.dirname(folder);
  const values = valuesIn({}, base);
  const file = posix.normalize(found);
  if (draft.files.includes(file) || draft.files.length > 100) return values;
  const text = readRaw(file, 1 << 20);
  if (text !== undefined) draft.files.push(file);
  const value = text === undefined ? undefined : parsed(text);
  if (value === undefined) {
    draft.broken ??= file;
    return values;
  }
  const key = own ? undefined : runByAsking(value);
  if (key !== undefined) draft.runs ??= `${file} sets ${key}`;
  if (hasToken(value)) draft.secretIn ??= file;
  for (const { path, optional } of includedIn(value)) {
    const included = path.startsWith('/') ? path : `${folder}/${path}`;
    if (!optional || exists(included)) merge(values, read(draft, included, own), true);
  }
  merge(values, valuesIn(value, base), true);
  return values;
}

function parsed(text: string): Table | undefined {
  try {
    return tableOf(parse(Buffer.from(text, 'latin1').toString('utf8')));
  } catch {
    return undefined;
  }
}

/** `--config`, of which the last counts most: the path of a file if there is one, else `KEY=VALUE`. */
function readGiven(draft: Draft, given: readonly string[], folder: string, watch: Watch): Values {
  const values = valuesIn({}, folder);
  for (const each of given) {
    const path = absolute(each, folder);
    watch(path);
    const from = exists(path) ? read(draft, path, false) : valuesIn(parsed(each) ?? {}, folder);
    merge(values, from, true);
  }
  return values;
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
  const draft: Draft = { files: [], broken: undefined, secretIn: undefined, runs: undefined };
  const over = readGiven(draft, given, folder, watch);
  const values = valuesIn({}, folder);
  for (const file of configFilesFor(folder, cargoHome, watch))
    merge(values, read(draft, file, posix.dirname(file) === cargoHome), false);
  merge(values, over, true);
  for (const file of draft.files) watch(file);
  return {
    ...draft,
    aliases: new Map(
      entriesAt(values, 'alias').flatMap(([name, value]) => {
        const words = wordsOf(value);
        return words === undefined ? [] : [[name, words] as const];
      }),
    ),
    programs: programsIn(values),
    sources: entriesAt(values, 'source').flatMap(([name]) =>
      ['directory', 'local-registry'].flatMap(
        (key) => pathOf(valueAt(values, 'source', name, key)) ?? [],
      ),
    ),
    targets: listOf(valueAt(values, 'build', 'target')),
    lockfile: pathOf(valueAt(values, 'resolver', 'lockfile-path')),
    flags: flagsIn(values),
    env: variablesIn(values),
  };
}
