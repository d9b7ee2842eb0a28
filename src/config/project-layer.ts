/** Puts what a project's own file says over the rest. Pure. */
import { trustedKeys, type ProjectConfig } from './project-schema.ts';
import { type Config } from './schema.ts';
import { priorities, type Priority } from './waiting-schema.ts';

/** Which of the keys that need trust the file uses, in the file's spelling. */
export function keysInNeed(project: ProjectConfig): string[] {
  const { workers, transfer, execution, hooks } = project;
  const used: Readonly<Record<(typeof trustedKeys)[number], boolean>> = {
    'workers.preferred': workers.preferred !== undefined,
    'transfer.force_include': transfer.forceInclude.length > 0,
    'execution.env': Object.keys(execution.env).length > 0,
    'hooks.pre_transfer': (hooks.preTransfer ?? '') !== '',
    'hooks.post_compile': (hooks.postCompile ?? '') !== '',
    'hooks.on_fallback': (hooks.onFallback ?? '') !== '',
  };
  return trustedKeys.filter((name) => used[name]);
}

/** The file without what counts only when it is trusted. */
function restricted(project: ProjectConfig): ProjectConfig {
  return {
    ...project,
    workers: { ...project.workers, preferred: undefined },
    transfer: { ...project.transfer, forceInclude: [] },
    execution: { ...project.execution, env: {} },
    hooks: {},
  };
}

const within = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(`${folder}/`);

/** What is left out: what both exclude, less what is forced in with all that is around it. */
function excluded(
  config: Config,
  { excludeExtra, forceInclude }: ProjectConfig['transfer'],
): string[] {
  return [...config.transfer.exclude.patterns, ...excludeExtra].filter(
    (path) => !forceInclude.some((forced) => within(path, forced) || within(forced, path)),
  );
}

/** Workers that both the user and the project allow; undefined: all. */
export function allowedWorkers({ pool, project }: Config): readonly string[] | undefined {
  const [ours, theirs] = [pool.allowed, project.allowedWorkers];
  return theirs === undefined ? ours : theirs.filter((id) => ours?.includes(id) ?? true);
}

function lower(one: Priority, other: Priority | undefined): Priority {
  const at = Math.min(priorities.indexOf(one), priorities.indexOf(other ?? one));
  return priorities[at] ?? one;
}

/** The shorter of two limits; 0 is none. */
function shorter(ours: number, theirs: number | undefined): number {
  const limits = [ours, theirs ?? 0].filter((limit) => limit > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}

/** Without trust, a project can only make less happen; how many cores its commands use, it says itself. */
export function withProject(config: Config, file: ProjectConfig, trusted: boolean): Config {
  const project = trusted ? file : restricted(file);
  const { hooks, execution, transfer } = project;
  return {
    ...config,
    project: {
      enabled: project.project.enabled,
      localOnly: project.project.localOnly,
      id: project.project.id,
      name: project.project.name,
      blockedWorkers: project.workers.blocked,
      allowedWorkers: project.workers.allowed,
      preferredWorker: project.workers.preferred,
      minSpeedScore: project.workers.minSpeedScore,
      untrusted: trusted ? [] : keysInNeed(file),
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
      maxTransferSizeMb: Math.min(
        transfer.maxSizeMb ?? config.transfer.maxTransferSizeMb,
        config.transfer.maxTransferSizeMb,
      ),
      exclude: { patterns: excluded(config, transfer) },
    },
    execution: {
      ...config.execution,
      timeoutSec: trusted
        ? (execution.timeoutSec ?? config.execution.timeoutSec)
        : shorter(config.execution.timeoutSec, execution.timeoutSec),
      cores: execution.cores ?? config.execution.cores,
      env: { ...config.execution.env, ...execution.env },
    },
    queue: { ...config.queue, priority: lower(config.queue.priority, project.queue.priority) },
    hooks: {
      ...config.hooks,
      preTransfer: hooks.preTransfer ?? config.hooks.preTransfer,
      postCompile: hooks.postCompile ?? config.hooks.postCompile,
      onFallback: hooks.onFallback ?? config.hooks.onFallback,
    },
  };
}
