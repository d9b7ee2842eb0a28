/**
 * Every path of ours, said once.
 *
 * An installation is one folder, `home` (by default $XDG_DATA_HOME/rch, or ~/.local/share/rch). The launcher
 * finds it from /proc/self/exe alone, so that a caller with an empty environment reaches the same daemon:
 * ```
 * home/lib/     rch.mjs rchd.mjs link.mjs rch-wkr.mjs, rch-shim rch-run rch-fs, native/, cases/, grafana.json, node -> the Node of the install, layout.json
 * home/shims/   cargo gcc make … -> ../lib/rch-shim
 * home/run/     front.sock, link-ID.sock, daemon.lock, stopped, hung, dashboard.html        (0700)
 * ```
 * layout.json remembers where configuration, state and cache are ({"config","state","cache"}, absolute).
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Layout = {
  readonly home: string;
  readonly lib: string;
  readonly shims: string;
  readonly run: string;
  readonly config: string;
  readonly state: string;
  readonly cache: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

function xdg(environment: Environment, name: string, fallback: string): string {
  const value = environment[name];
  // XDG Base Directory Specification: a relative path is to be ignored.
  const base =
    value?.startsWith('/') === true ? value : join(environment['HOME'] ?? homedir(), fallback);
  return join(base, 'rch');
}

/** The folders that the environment asks for, for an installation in `home`. */
export function layoutFor(environment: Environment, home?: string): Layout {
  const root = home ?? xdg(environment, 'XDG_DATA_HOME', '.local/share');
  return {
    home: root,
    lib: join(root, 'lib'),
    shims: join(root, 'shims'),
    run: join(root, 'run'),
    config: xdg(environment, 'XDG_CONFIG_HOME', '.config'),
    state: xdg(environment, 'XDG_STATE_HOME', '.local/state'),
    cache: xdg(environment, 'XDG_CACHE_HOME', '.cache'),
  };
}

type Remembered = Pick<Layout, 'config' | 'state' | 'cache'>;

function rememberedIn(text: string): Remembered | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('config' in value) || !('state' in value) || !('cache' in value)) return undefined;
  const { config, state, cache } = value;
  if (typeof config !== 'string' || typeof state !== 'string' || typeof cache !== 'string')
    return undefined;
  return { config, state, cache };
}

/**
 * What the installer remembered in `lib`, or undefined when the program does not run from an installation. Throws for
 * a file that makes no sense: other folders than those of the install would be taken for empty ones.
 */
function remembered(lib: string): Remembered | undefined {
  const file = join(lib, 'layout.json');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const known = rememberedIn(text);
  if (known === undefined) throw new Error(`${file} is damaged: install rch again (./install.sh)`);
  return known;
}

/**
 * The layout of the program that runs: that of its installation, else (run from a build) that of the
 * environment. A variable XDG_*_HOME that is set wins over what the installer remembered. Throws where that is damaged.
 */
export function layoutOf(environment: Environment, moduleUrl: string): Layout {
  const lib = dirname(fileURLToPath(moduleUrl));
  const known = remembered(lib);
  if (known === undefined) return layoutFor(environment);
  const asked = layoutFor(environment, dirname(lib));
  return {
    ...asked,
    config: environment['XDG_CONFIG_HOME'] === undefined ? known.config : asked.config,
    state: environment['XDG_STATE_HOME'] === undefined ? known.state : asked.state,
    cache: environment['XDG_CACHE_HOME'] === undefined ? known.cache : asked.cache,
  };
}

export function frontSocket(layout: Layout): string {
  return join(layout.run, 'front.sock');
}
export function linkSocket(layout: Layout, worker: string): string {
  return join(layout.run, `link-${worker}.sock`);
}
/** Exclusive flock(2) of the one daemon. */
export function daemonLock(layout: Layout): string {
  return join(layout.run, 'daemon.lock');
}
/** Present while the user has stopped the daemon: launchers do not start it. */
export function stoppedMark(layout: Layout): string {
  return join(layout.run, 'stopped');
}
/** Present while `rch demo` runs; src/config/demo.ts. */
export function demoMark(layout: Layout): string {
  return join(layout.run, 'demo');
}
/** The case files of `rch self-test`. */
export function conformanceCases(layout: Layout): string {
  return join(layout.lib, 'cases');
}
export function configFile(layout: Layout): string {
  return join(layout.config, 'config.toml');
}
export function workersFile(layout: Layout): string {
  return join(layout.config, 'workers.toml');
}
/** Which project files the user vouched for; src/config/trust.ts. */
export function trustFile(layout: Layout): string {
  return join(layout.state, 'trust.json');
}
export function daemonLog(layout: Layout): string {
  return join(layout.state, 'log', 'rchd.log');
}
export function historyFile(layout: Layout): string {
  return join(layout.state, 'history.jsonl');
}
/** What a link must know of the jobs that a link before it left running, a file a job, a folder a worker. */
export function jobsFolder(layout: Layout, worker: string): string {
  return join(layout.state, 'jobs', worker);
}
/** Stat cache and agreed manifests, a folder a worker. */
export function treesFolder(layout: Layout, worker: string): string {
  return join(layout.state, 'trees', worker);
}
