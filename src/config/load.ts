/**
 * Reads the layers of configuration and merges them: defaults, /etc/rch/config.toml, config.toml and workers.toml
 * of the user, .rch/config.toml of the project, what the command line says (which travels as RCH_ variables), RCH_
 * variables of the request. Never throws.
 */
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { configFile, workersFile, type Layout } from '../base/layout.ts';
import { ok, type Failure, type Result } from '../base/result.ts';
import { demoWorker } from './demo.ts';
import { readLayer, type Layer, type Table } from './layers.ts';
import { describe, type Problem } from './problems.ts';
import { withProject } from './project-layer.ts';
import { projectFile, type ProjectConfig } from './project-schema.ts';
import { requestSettings } from './request.ts';
import { configSchema, settingsFile, type Config } from './schema.ts';
import { isTrusted } from './trust.ts';
import { workersFileShape, type WorkerConfig } from './worker-schema.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type ConfigFailure = Failure & { readonly problems: readonly Problem[] };
export type ConfigOutcome = Result<
  {
    readonly config: Config;
    /** Those that are there. */
    readonly files: readonly string[];
    /** Where workers are written down. */
    readonly workersFile: string;
  },
  ConfigFailure
>;

const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `over` wins; tables are merged, lists replaced. */
function merge(under: Table, over: Table): Table {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isTable(before) && isTable(value) ? merge(before, value) : value;
  }
  return merged;
}

/** `[defaults]` of workers.toml under each of its workers; one with a mistake, which is told of itself, under none. */
export function withDefaults(table: unknown): unknown {
  if (!isTable(table)) return table;
  const { defaults, workers } = table;
  if (!isTable(defaults) || !Array.isArray(workers)) return table;
  if (!workersFileShape.shape.defaults.safeParse(defaults).success) return table;
  const filled: unknown[] = workers.map((worker: unknown) =>
    isTable(worker) ? merge(defaults, worker) : worker,
  );
  return { ...table, workers: filled };
}

function expandHome(path: string, env: Environment): string {
  if (path !== '~' && !path.startsWith('~/')) return path;
  return join(env['HOME'] ?? homedir(), path.slice(1));
}

function expandWorker(worker: WorkerConfig, env: Environment): WorkerConfig {
  if (worker.identityFile === undefined) return worker;
  return { ...worker, identityFile: expandHome(worker.identityFile, env) };
}

/** The environment as a layer; a value that makes no sense is a problem like one in a file. */
function environmentLayer(env: Environment): { raw: Table; problems: Problem[] } {
  const request = requestSettings(env);
  if (!request.ok) {
    const message = request.failure.reason;
    return { raw: {}, problems: [{ file: 'environment', line: 0, column: 0, key: '', message }] };
  }
  const { enabled, verbose, notice, compression, noCache } = request.value;
  const given = (name: string, value: unknown): Table =>
    value === undefined ? {} : { [name]: value };
  return {
    raw: {
      general: { ...given('enabled', enabled), ...given('verbose', verbose) },
      output: given('notice', notice),
      transfer: { ...given('compressionLevel', compression), ...given('checksum', noCache) },
    },
    problems: [],
  };
}

function expandAll(config: Config, env: Environment): Config {
  const { logFile } = config.general;
  const { pidFile } = config.daemon;
  return {
    ...config,
    general: {
      ...config.general,
      ...(logFile === undefined ? {} : { logFile: expandHome(logFile, env) }),
    },
    daemon: {
      ...config.daemon,
      ...(pidFile === undefined ? {} : { pidFile: expandHome(pidFile, env) }),
    },
    workers: config.workers.map((worker) => expandWorker(worker, env)),
  };
}

export const systemConfigFile = '/etc/rch/config.toml';

/** A project's own file. */
export function projectConfigFile(projectDir: string): string {
  return join(projectDir, '.rch', 'config.toml');
}

export type Layers = {
  readonly system: Layer<unknown>;
  readonly user: Layer<unknown>;
  readonly workers: Layer<{ readonly workers: readonly WorkerConfig[] }>;
  readonly project: Layer<ProjectConfig> | undefined;
  readonly environment: { readonly raw: Table; readonly problems: readonly Problem[] };
};

/** Where the files say that workers are written down: `workers.config_file`. */
function workersPlace(layout: Layout, env: Environment, layers: readonly Layer<unknown>[]): string {
  for (const { file, raw } of layers) {
    const pool = raw?.['workers'];
    const named = isTable(pool) ? pool['configFile'] : undefined;
    // One that does not begin at `/` lies beside the file that names it, wherever a command is called.
    if (typeof named === 'string' && named !== '')
      return resolve(dirname(file), expandHome(named, env));
  }
  return workersFile(layout);
}

/** Each layer by itself, for the environment `env` in the project at `projectDir`. */
export function readLayers(layout: Layout, env: Environment, projectDir?: string): Layers {
  const system = readLayer(systemConfigFile, settingsFile);
  const user = readLayer(configFile(layout), settingsFile);
  const place = workersPlace(layout, env, [user, system]);
  return {
    system,
    user,
    workers: readLayer(place, workersFileShape, { prepare: withDefaults }),
    project:
      projectDir === undefined
        ? undefined
        : readLayer(projectConfigFile(projectDir), projectFile, { foreign: true }),
    environment: environmentLayer(env),
  };
}

/** The files of the layers, lowest first. */
export function filesOf({ system, user, workers, project }: Layers): readonly Layer<unknown>[] {
  return [system, user, workers, ...(project === undefined ? [] : [project])];
}

/** The tables of settings files, the later over the earlier, as `configSchema` has them. */
function mergedSettings(tables: readonly (Table | undefined)[]): Table {
  const merged = tables.map((table) => table ?? {}).reduce(merge, {});
  const { workers: pool = {}, ...rest } = merged;
  return { ...rest, pool };
}

/** Puts the layers together; on any problem there is no configuration at all. */
export function mergeLayers(layers: Layers, layout: Layout, env: Environment): ConfigOutcome {
  const { system, user, workers, project, environment } = layers;
  const files = filesOf(layers);
  const problems = [...files.flatMap((layer) => layer.problems), ...environment.problems];
  if (problems.length > 0) {
    const mend =
      problems.length === environment.problems.length
        ? 'set the variable right, or unset it'
        : 'mend the file (rch config edit)';
    return {
      ok: false,
      failure: {
        reason: problems.map(describe).join('\n'),
        next: `${mend}; until then every command runs here`,
        problems,
      },
    };
  }
  const demo = demoWorker(layout);
  const parsed = configSchema.parse({
    ...mergedSettings([system.raw, user.raw, environment.raw]),
    workers: [...(workers.value?.workers ?? []), ...(demo === undefined ? [] : [demo])],
  });
  const whole =
    project?.value === undefined
      ? parsed
      : withProject(parsed, project.value, isTrusted(layout, project.file, project.text));
  return ok({
    config: expandAll(whole, env),
    files: files.filter((layer) => layer.raw !== undefined).map((layer) => layer.file),
    workersFile: workers.file,
  });
}

/**
 * The configuration for a request with the environment `env` in the project at `projectDir`. On any problem
 * there is no configuration at all: the caller works locally and shows the problems.
 */
export function loadConfig(layout: Layout, env: Environment, projectDir?: string): ConfigOutcome {
  return mergeLayers(readLayers(layout, env, projectDir), layout, env);
}
