/**
 * Reads the layers of configuration and merges them: defaults, /etc/rch/config.toml, config.toml and workers.toml
 * of the user, .rch/config.toml of the project, RCH_ variables of the request. Never throws.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { cosmiconfigSync, type PublicExplorerSync } from 'cosmiconfig';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { configFile, workersFile, type Layout } from '../base/layout.ts';
import { messageOf, ok, type Failure, type Result } from '../base/result.ts';
import { demoWorker } from './demo.ts';
import { camelKeys, describe, problemsOf, type Problem } from './problems.ts';
import { requestSettings } from './request.ts';
import { knownKeys } from './known.ts';
import {
  configSchema,
  priorities,
  projectFile,
  settingsFile,
  workersFileShape,
  type Config,
  type Priority,
  type ProjectConfig,
  type WorkerConfig,
} from './schema.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type ConfigFailure = Failure & { readonly problems: readonly Problem[] };
export type ConfigOutcome = Result<
  { readonly config: Config; readonly files: readonly string[] },
  ConfigFailure
>;

type Table = Readonly<Record<string, unknown>>;
type Layer<T> = {
  readonly file: string;
  /** Undefined: there is no such file. */
  readonly raw: Table | undefined;
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
};

type Loaded = { readonly text: string; readonly table: unknown };

let explorer: PublicExplorerSync | undefined;

/**
 * cosmiconfig with TOML alone. When made, it looks for settings of its own in the current folder, where
 * .config/config.js of a cloned repository would be executed: so it is made in `/`.
 */
function tomlExplorer(): PublicExplorerSync {
  if (explorer !== undefined) return explorer;
  let back: string | undefined;
  try {
    back = process.cwd();
  } catch {
    back = undefined;
  }
  process.chdir('/');
  try {
    explorer = cosmiconfigSync('rch', {
      searchPlaces: ['config.toml'],
      // The text is kept for places in messages; `$import` of cosmiconfig is never seen, as it looks at the top.
      loaders: { '.toml': (_, text): Loaded => ({ text, table: parse(text) }) },
      cache: false,
      searchStrategy: 'none',
    });
  } finally {
    if (back !== undefined) process.chdir(back);
  }
  return explorer;
}

function isMissing(thrown: unknown): boolean {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function unreadable(file: string, thrown: unknown): Problem {
  if (thrown instanceof TomlError) {
    const message = thrown.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? '';
    return { file, line: thrown.line, column: thrown.column, key: '', message };
  }
  return { file, line: 0, column: 0, key: '', message: messageOf(thrown) };
}

/** Reads and checks one file by itself, so that each problem has its place. */
function readLayer<S extends z.ZodType>(
  file: string,
  schema: S,
  prepare: (table: unknown) => unknown = (table) => table,
): Layer<z.infer<S>> {
  let loaded: Loaded;
  try {
    const result = tomlExplorer().load(file);
    loaded = (result?.config as Loaded | undefined) ?? { text: '', table: {} };
  } catch (thrown) {
    const problems = isMissing(thrown) ? [] : [unreadable(file, thrown)];
    return { file, raw: undefined, value: undefined, problems };
  }
  const raw = camelKeys(loaded.table) as Table;
  const checked = schema.safeParse(prepare(raw));
  if (checked.success) return { file, raw, value: checked.data, problems: [] };
  const problems = problemsOf(checked.error, { file, text: loaded.text, known: knownKeys(schema) });
  return { file, raw, value: undefined, problems };
}

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

/** `[defaults]` of workers.toml under each of its workers. */
function withDefaults(table: unknown): unknown {
  if (!isTable(table)) return table;
  const { defaults, workers } = table;
  if (!isTable(defaults) || !Array.isArray(workers)) return table;
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
  const { enabled, verbose } = request.value;
  const general = {
    ...(enabled === undefined ? {} : { enabled }),
    ...(verbose === undefined ? {} : { verbose }),
  };
  return { raw: { general }, problems: [] };
}

/** Puts what a project says over the rest: it can only make less happen. */
function withProject(config: Config, project: ProjectConfig): Config {
  const limit = project.transfer.maxSizeMb ?? config.transfer.maxTransferSizeMb;
  return {
    ...config,
    project: {
      enabled: project.project.enabled,
      localOnly: project.project.localOnly,
      blockedWorkers: project.workers.blocked,
      allowedWorkers: project.workers.allowed,
      preferredWorker: project.workers.preferred,
      minSpeedScore: project.workers.minSpeedScore,
    },
    sandbox: { network: config.sandbox.network && project.sandbox.network },
    classify: {
      ...config.classify,
      confidenceThreshold: Math.max(
        config.classify.confidenceThreshold,
        project.classify.confidenceThreshold ?? 0,
      ),
      exclude: [...config.classify.exclude, ...project.classify.exclude],
    },
    transfer: {
      ...config.transfer,
      maxTransferSizeMb: Math.min(limit, config.transfer.maxTransferSizeMb),
    },
    execution: { ...config.execution, cores: project.execution.cores ?? config.execution.cores },
    queue: { ...config.queue, priority: lower(config.queue.priority, project.queue.priority) },
  };
}

function lower(one: Priority, other: Priority | undefined): Priority {
  const at = Math.min(priorities.indexOf(one), priorities.indexOf(other ?? one));
  return priorities[at] ?? one;
}

function expandAll(config: Config, env: Environment): Config {
  const { logFile } = config.general;
  return {
    ...config,
    general:
      logFile === undefined
        ? config.general
        : { ...config.general, logFile: expandHome(logFile, env) },
    workers: config.workers.map((worker) => expandWorker(worker, env)),
  };
}

export const systemConfigFile = '/etc/rch/config.toml';

/** A project's own file. */
export function projectConfigFile(projectDir: string): string {
  return join(projectDir, '.rch', 'config.toml');
}

/**
 * The configuration for a request with the environment `env` in the project at `projectDir`. On any problem
 * there is no configuration at all: the caller works locally and shows the problems.
 */
export function loadConfig(layout: Layout, env: Environment, projectDir?: string): ConfigOutcome {
  const system = readLayer(systemConfigFile, settingsFile);
  const user = readLayer(configFile(layout), settingsFile);
  const workers = readLayer(workersFile(layout), workersFileShape, withDefaults);
  const project =
    projectDir === undefined ? undefined : readLayer(projectConfigFile(projectDir), projectFile);
  const asked = environmentLayer(env);
  const layers = [system, user, workers, ...(project === undefined ? [] : [project])];
  const problems = [...layers.flatMap((layer) => layer.problems), ...asked.problems];
  const first = problems[0];
  if (first !== undefined)
    return {
      ok: false,
      failure: {
        reason: problems.map(describe).join('\n'),
        next: 'mend the file; until then every command runs here',
        problems,
      },
    };
  const merged = [system.raw ?? {}, user.raw ?? {}, asked.raw].reduce(merge, {});
  const demo = demoWorker(layout);
  const config = configSchema.parse({
    ...merged,
    workers: [...(workers.value?.workers ?? []), ...(demo === undefined ? [] : [demo])],
  });
  const files = layers.filter((layer) => layer.raw !== undefined).map((layer) => layer.file);
  const whole = project?.value === undefined ? config : withProject(config, project.value);
  return ok({ config: expandAll(whole, env), files });
}
