/** `rch doctor`: the configuration files. */
import { statSync } from 'node:fs';
import { workersFile, configFile, type Layout } from '../../base/layout.ts';
import { loadConfig, readLayers } from '../../config/load.ts';
import { describe, type Problem } from '../../config/problems.ts';
import type { Config } from '../../config/schema.ts';
import { toolchainFile, toolchainProblems } from '../../config/toolchain-schema.ts';
import { warningsOf } from '../../config/warnings.ts';
import { projectIfAny } from '../config/scope.ts';
import type { Context } from '../report.ts';
import { failed, pass, warn, type Check } from './check.ts';
import { narrow, OPEN } from './modes.ts';

function modeChecks(files: readonly string[]): Check[] {
  return files.flatMap((file) => {
    const mode = (statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o777;
    if ((mode & OPEN) === 0) return [];
    const closed = mode & ~OPEN;
    return failed(
      { id: 'config.mode', title: 'mode' },
      `others may change ${file} (mode 0${mode.toString(8)})`,
      { mend: `chmod go-w '${file}'`, fix: () => Promise.resolve(narrow(file, closed)) },
    );
  });
}

function problemCheck(problem: Problem): Check {
  const at = { id: 'config.valid', title: 'valid' };
  const place = problem.line > 0 ? `+${problem.line} ` : '';
  const file = problem.file.startsWith('/');
  return failed(at, `${describe(problem)}; until it is mended every command runs here`, {
    mend: file ? `\${EDITOR:-vi} ${place}'${problem.file}'` : 'correct the variable in this shell',
  });
}

function contentChecks(config: Config): Check[] {
  const on = { id: 'config.enabled', title: 'enabled' };
  const workers = { id: 'config.workers', title: 'workers' };
  const used = config.workers.filter((worker) => worker.enabled);
  return [
    config.general.enabled
      ? pass(on, 'commands may run elsewhere')
      : warn(on, 'general.enabled is false: every command runs here', {
          mend: "set enabled = true under [general] in rch's config.toml",
        }),
    used.length > 0
      ? pass(workers, used.map((worker) => worker.id).join(', '))
      : failed(workers, 'no worker is enabled: every command runs here', {
          mend: config.workers.length === 0 ? 'rch workers discover' : 'rch workers list',
        }),
  ];
}

/** toolchain.toml, which stops no build. */
function toolchainChecks(layout: Layout): Check[] {
  const at = { id: 'config.toolchain', title: 'toolchain' };
  return toolchainProblems(layout).map((problem) =>
    warn(at, `${describe(problem)}; until it is mended nothing can be brought to workers by it`, {
      mend: `\${EDITOR:-vi} +${Math.max(1, problem.line)} '${problem.file}'`,
    }),
  );
}

/** Names of workers that nobody has, in the files that hold in this folder. */
function nameChecks({ layout, env }: Context): Check[] {
  const at = { id: 'config.names', title: 'names' };
  return warningsOf(readLayers(layout, env, projectIfAny({ env })), layout).map((problem) =>
    warn(at, describe(problem), {
      mend: `\${EDITOR:-vi} +${Math.max(1, problem.line)} '${problem.file}'`,
    }),
  );
}

export function checkConfiguration(context: Context): Promise<Check[]> {
  const { layout, env } = context;
  const loaded = loadConfig(layout, env);
  const files = [configFile(layout), workersFile(layout), toolchainFile(layout)];
  const modes = [...modeChecks(files), ...toolchainChecks(layout)];
  if (!loaded.ok) return Promise.resolve([...loaded.failure.problems.map(problemCheck), ...modes]);
  const read = loaded.value.files;
  const at = { id: 'config.valid', title: 'valid' };
  const valid = pass(at, read.length === 0 ? 'all by default' : read.join(', '));
  return Promise.resolve([
    valid,
    ...modes,
    ...nameChecks(context),
    ...contentChecks(loaded.value.config),
  ]);
}
