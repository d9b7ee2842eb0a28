/** `rch config edit|validate`. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { fail, ok } from '../../base/result.ts';
import { readLayer } from '../../config/layers.ts';
import { filesOf, readLayers, withDefaults, type Layers } from '../../config/load.ts';
import { describe, type Problem } from '../../config/problems.ts';
import { projectFile } from '../../config/project-schema.ts';
import { replaceFile } from '../../config/replace-file.ts';
import { settingsFile } from '../../config/schema.ts';
import { templateOf } from '../../config/template.ts';
import { toolchainFile, toolchainProblems, toolchainShape } from '../../config/toolchain-schema.ts';
import { idsIn, missingWorkersFile, unknownWorkers } from '../../config/warnings.ts';
import { workersFileShape } from '../../config/worker-schema.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { tellDaemon } from '../workers/tell.ts';
import { examplesFor, layersHere, targetWithout, type Asked } from './scope.ts';

type Checked = {
  readonly file: string;
  readonly exists: boolean;
  readonly problems: readonly Problem[];
  /** What stops nothing. */
  readonly warnings?: readonly Problem[];
};

function report(files: readonly Checked[]): Outcome {
  const problems = files.flatMap((file) => file.problems);
  return ok({
    facts: { ok: problems.length === 0, files },
    text: ({ colors }) =>
      files
        .flatMap(({ file, exists, problems: own, warnings = [] }) => [
          ...own.map((problem) => `${colors.red('wrong')}   ${describe(problem)}`),
          ...(own.length > 0
            ? []
            : [exists ? `${colors.green('right')}   ${file}` : colors.dim(`absent  ${file}`)]),
          ...warnings.map((warning) => `${colors.yellow('warning')} ${describe(warning)}`),
        ])
        .join('\n'),
    ...(problems.length === 0 ? {} : { exit: exitCodes.failed }),
  });
}

type Kind = { readonly schema: z.ZodType; readonly prepare?: (table: unknown) => unknown };
const ofWorkers: Kind = { schema: workersFileShape, prepare: withDefaults };

/** What a file may hold: by where it is; workers may be anywhere, so also by what is in it. */
function kindOf(file: string, { workers }: Layers): Kind {
  if (basename(file) === 'toolchain.toml') return { schema: toolchainShape };
  if (basename(file) === 'workers.toml' || file === workers.file) return ofWorkers;
  if (file.endsWith('/.rch/config.toml')) return { schema: projectFile };
  const { raw } = readLayer(file, z.unknown());
  return Array.isArray(raw?.['workers']) ? ofWorkers : { schema: settingsFile };
}

/** Checks the files that hold here, or the one that is named. */
export function configValidate(context: Context, named: string | undefined): Outcome {
  if (named !== undefined) {
    const file = resolve(named);
    if (!existsSync(file)) return fail(`there is no ${file}`, 'rch config path');
    const all = readLayers(context.layout, context.env);
    const { schema, prepare } = kindOf(file, all);
    const layer = readLayer(file, schema, { prepare });
    const warnings = unknownWorkers(layer, idsIn(all));
    return report([{ file, exists: true, problems: layer.problems, warnings }]);
  }
  const layers = layersHere(context);
  const known = idsIn(layers);
  const missing = missingWorkersFile(layers, context.layout);
  const files = filesOf(layers).map((layer) => ({
    file: layer.file,
    exists: existsSync(layer.file),
    problems: [...layer.problems, ...missing.filter(({ file }) => file === layer.file)],
    warnings: unknownWorkers(layer, known),
  }));
  const asked = layers.environment.problems;
  const toolchain = toolchainFile(context.layout);
  return report([
    ...files,
    {
      file: toolchain,
      exists: existsSync(toolchain),
      problems: toolchainProblems(context.layout),
    },
    ...(asked.length === 0 ? [] : [{ file: 'environment', exists: true, problems: asked }]),
  ]);
}

/** The file in $VISUAL or $EDITOR; afterwards it is checked. */
export async function configEdit(
  context: Context,
  { scope, workers }: { readonly scope: Asked; readonly workers: boolean },
): Promise<Outcome> {
  const { env } = context;
  const target = targetWithout(context, scope);
  const file = workers ? layersHere(context).workers.file : target.file;
  if (!existsSync(file)) {
    const text = workers
      ? ''
      : templateOf(target.settings, target.scope, examplesFor(context, target.scope));
    const mode = workers || target.scope === 'user' ? 0o600 : 0o644;
    const made = replaceFile(file, text, { mode });
    if (!made.ok) return made;
  }
  const chosen = [env['VISUAL'], env['EDITOR']].find((each) => (each ?? '') !== '');
  // The usual one would wait for keys for ever.
  if (chosen === undefined && !process.stdin.isTTY)
    return fail(
      `there is no terminal to edit ${file} in`,
      'rch config set KEY VALUE, or set EDITOR',
    );
  const editor = chosen ?? 'vi';
  // As git does: the variable may hold arguments, so a shell reads it; the file is never part of its text.
  const ended = spawnSync('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
  if (ended.status !== 0) {
    const how = ended.signal ?? `exit ${ended.status ?? 'unknown'}`;
    return fail(`the editor (${editor}) ended with ${how}`, 'set VISUAL or EDITOR');
  }
  const { schema, prepare } = workers ? ofWorkers : ({ schema: target.schema } satisfies Kind);
  const layer = readLayer(file, schema, { prepare });
  await tellDaemon(context.layout);
  const warnings = unknownWorkers(layer, idsIn(layersHere(context)));
  return report([{ file, exists: true, problems: layer.problems, warnings }]);
}
