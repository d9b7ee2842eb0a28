/** Where the value of each setting comes from. Pure, but for what the layers hold already. */
import type { ConfigOutcome, Layers } from './load.ts';
import type { Layer, Table } from './layers.ts';
import { settingsIn, type Setting } from './known.ts';
import { snakeOf } from './problems.ts';
import { allowedWorkers } from './project-layer.ts';
import { projectFile } from './project-schema.ts';
import { settingsFile, type Config } from './schema.ts';
import { placeOf, placesIn } from './toml-lines.ts';

export type LayerName = 'default' | 'system' | 'user' | 'project' | 'environment';

export type Origin = {
  readonly layer: LayerName;
  /** The file; a variable's name; empty for a default. */
  readonly from: string;
  /** From 1; 0 where there is none. */
  readonly line: number;
};

export type Effective = {
  readonly setting: Setting;
  /** What holds; undefined: there is no value. */
  readonly value: unknown;
  /** Lowest first: of a list that layers add to, all of them; else the one that decided. */
  readonly origins: readonly Origin[];
  /** In a project's file that was not trusted: it waits. */
  readonly waits: boolean;
};

const byDefault: Origin = { layer: 'default', from: '', line: 0 };

export function valueIn(table: unknown, path: readonly string[]): unknown {
  let at = table;
  for (const part of path)
    at = typeof at === 'object' && at !== null ? (at as Table)[part] : undefined;
  return at;
}

function originIn(name: LayerName, layer: Layer<unknown>, path: readonly string[]): Origin[] {
  if (valueIn(layer.raw, path) === undefined) return [];
  const place = placeOf(placesIn(layer.text), path.map(snakeOf));
  return [{ layer: name, from: layer.file, line: place?.line ?? 0 }];
}

/** The variable that overrules a setting. */
const variables: Readonly<Record<string, string>> = {
  'general.enabled': 'RCH_ENABLED',
  'general.verbose': 'RCH_VERBOSE',
  'output.notice': 'RCH_NOTICE',
  'transfer.compression_level': 'RCH_COMPRESSION',
  'transfer.checksum': 'RCH_NO_CACHE',
};

/** Keys of a project's file that work on a key of another name. */
const projectNames: Readonly<Record<string, readonly string[]>> = {
  'transfer.max_transfer_size_mb': ['transfer.max_size_mb'],
  'transfer.exclude.patterns': ['transfer.exclude_extra', 'transfer.force_include'],
};

/** Settings to which each layer adds. */
const additive: ReadonlySet<string> = new Set([
  'transfer.exclude.patterns',
  'execution.env',
  'classify.exclude',
]);

const projectSettings = settingsIn(projectFile);
const pathOf = (name: string): readonly string[] =>
  projectSettings.find((setting) => setting.name === name)?.path ?? [];

function originsOf(setting: Setting, layers: Layers): Origin[] {
  const { name, path } = setting;
  const variable = variables[name];
  const { project } = layers;
  const theirs = projectNames[name] ?? (pathOf(name).length > 0 ? [name] : []);
  const found: Origin[] = [
    ...originIn('system', layers.system, path),
    ...originIn('user', layers.user, path),
    ...(project === undefined
      ? []
      : theirs.flatMap((each) => originIn('project', project, pathOf(each)))),
    ...(variable === undefined || valueIn(layers.environment.raw, path) === undefined
      ? []
      : [{ layer: 'environment' as const, from: variable, line: 0 }]),
  ];
  return found.length === 0 ? [byDefault] : found;
}

/** The value in the merged configuration, in which [workers] of files is `pool`. */
function mergedValue(config: Config, { name, path }: Setting): unknown {
  if (name === 'workers.allowed') return allowedWorkers(config);
  return valueIn(config, path[0] === 'workers' ? ['pool', ...path.slice(1)] : path);
}

/** Settings of a project's file that are not also the user's. */
function projectOnly(layers: Layers, config: Config, ours: readonly Setting[]): Effective[] {
  const { project } = layers;
  if (project === undefined) return [];
  const known = new Set([...ours.map(({ name }) => name), ...Object.values(projectNames).flat()]);
  return projectSettings
    .filter(({ name }) => !known.has(name))
    .map((setting) => {
      const origins = originIn('project', project, setting.path);
      const waits = config.project.untrusted.includes(setting.name);
      return {
        setting,
        value: waits ? setting.initial : (valueIn(project.value, setting.path) ?? setting.initial),
        origins: origins.length === 0 ? [byDefault] : origins,
        waits,
      };
    });
}

/** Every setting with its value and where it comes from. */
export function effective(
  layers: Layers,
  outcome: Extract<ConfigOutcome, { ok: true }>['value'],
): Effective[] {
  const ours = settingsIn(settingsFile);
  const { config } = outcome;
  const shared = ours.map((setting): Effective => {
    const all = originsOf(setting, layers);
    const waits = config.project.untrusted.includes(setting.name);
    const counting = waits ? all.filter(({ layer }) => layer !== 'project') : all;
    const origins = additive.has(setting.name) ? counting : counting.slice(-1);
    return {
      setting,
      value: mergedValue(config, setting),
      origins: origins.length === 0 ? [byDefault] : origins,
      waits,
    };
  });
  return [...shared, ...projectOnly(layers, config, ours)];
}
