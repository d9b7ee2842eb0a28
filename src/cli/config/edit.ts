/** `rch config edit|validate`. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { fail, ok } from '../../base/result.ts';
import { checkText, readLayer } from '../../config/layers.ts';
import { filesOf, withDefaults } from '../../config/load.ts';
import { describe, type Problem } from '../../config/problems.ts';
import { projectFile } from '../../config/project-schema.ts';
import { readText, replaceFile } from '../../config/replace-file.ts';
import { settingsFile } from '../../config/schema.ts';
import { templateOf } from '../../config/template.ts';
import { toolchainFile, toolchainProblems, toolchainShape } from '../../config/toolchain-schema.ts';
import { workersFileShape } from '../../config/worker-schema.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { tellDaemon } from '../workers/tell.ts';
import { layersHere, targetWithout, type Asked } from './scope.ts';

type Checked = {
  readonly file: string;
  readonly exists: boolean;
  readonly problems: readonly Problem[];
};

function report(files: readonly Checked[]): Outcome {
  const problems = files.flatMap((file) => file.problems);
  return ok({
    facts: { ok: problems.length === 0, files },
    text: ({ colors }) =>
      files
        .flatMap(({ file, exists, problems: own }) =>
          own.length > 0
            ? own.map((problem) => `${colors.red('wrong')}   ${describe(problem)}`)
            : [exists ? `${colors.green('right')}   ${file}` : colors.dim(`absent  ${file}`)],
        )
        .join('\n'),
    ...(problems.length === 0 ? {} : { exit: exitCodes.failed }),
  });
}

/** The schema for a file, by where it is. */
function schemaOf(file: string): { schema: z.ZodType; prepare?: (table: unknown) => unknown } {
  if (basename(file) === 'toolchain.toml') return { schema: toolchainShape };
  if (basename(file) === 'workers.toml') return { schema: workersFileShape, prepare: withDefaults };
  return { schema: file.endsWith('/.rch/config.toml') ? projectFile : settingsFile };
}

/** Checks the files that hold here, or the one that is named. */
export function configValidate(context: Context, named: string | undefined): Outcome {
  if (named !== undefined) {
    const file = resolve(named);
    if (!existsSync(file)) return fail(`there is no ${file}`, 'rch config path');
    const { schema, prepare } = schemaOf(file);
    return report([
      { file, exists: true, problems: readLayer(file, schema, { prepare }).problems },
    ]);
  }
  const layers = layersHere(context);
  const files = filesOf(layers).map(({ file, problems }) => ({
    file,
    exists: existsSync(file),
    problems,
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
    const text = workers ? '' : templateOf(target.settings, target.scope);
    const mode = workers || target.scope === 'user' ? 0o600 : 0o644;
    const made = replaceFile(file, text, { mode });
    if (!made.ok) return made;
  }
  const editor = [env['VISUAL'], env['EDITOR']].find((each) => (each ?? '') !== '') ?? 'vi';
  // As git does: the variable may hold arguments, so a shell reads it; the file is never part of its text.
  const ended = spawnSync('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
  if (ended.status !== 0) {
    const how = ended.signal ?? `exit ${ended.status ?? 'unknown'}`;
    return fail(`the editor (${editor}) ended with ${how}`, 'set VISUAL or EDITOR');
  }
  const text = readText(file);
  if (!text.ok) return text;
  const { schema, prepare } = workers ? schemaOf('/workers.toml') : { schema: target.schema };
  const problems = checkText(file, text.value, schema, prepare);
  await tellDaemon(context.layout);
  return report([{ file, exists: true, problems }]);
}
