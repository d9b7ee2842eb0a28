/** `rch config set|unset|init|reset`: changes a file as text, so that comments and order stay. */
import { existsSync, renameSync } from 'node:fs';
import { parse } from 'smol-toml';
import { alone } from '../../base/flock.ts';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import type { ValueKind } from '../../config/known.ts';
import { checkText } from '../../config/layers.ts';
import { readLayers } from '../../config/load.ts';
import { describe } from '../../config/problems.ts';
import { keysInNeed } from '../../config/project-layer.ts';
import { readText, replaceFile } from '../../config/replace-file.ts';
import { templateOf } from '../../config/template.ts';
import { setValue, unsetValue } from '../../config/toml-edit.ts';
import { isTrusted } from '../../config/trust.ts';
import { warningsOf } from '../../config/warnings.ts';
import { tomlValue, type TomlValue } from '../../config/toml-value.ts';
import type { Context, Outcome } from '../report.ts';
import { tellDaemon } from '../workers/tell.ts';
import {
  examplesFor,
  projectHere,
  targetFor,
  targetOf,
  targetWithout,
  type Asked,
  type Target,
} from './scope.ts';

const truth: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  '1': true,
  false: false,
  no: false,
  off: false,
  '0': false,
};

/** A value as TOML has it: `["a", 'b']`, `{ A = "1" }`. */
function tomlOf(text: string): Result<TomlValue> {
  try {
    return ok(parse(`v = ${text}`)['v'] as TomlValue);
  } catch (thrown) {
    return fail(`${text} is no value: ${messageOf(thrown).split('\n')[0] ?? ''}`);
  }
}

/** The words of the command line as a value of that kind. */
function valueOf(kind: ValueKind, words: readonly string[]): Result<TomlValue> {
  const [first = '', ...others] = words;
  if (kind === 'list')
    return others.length === 0 && first.startsWith('[') ? tomlOf(first) : ok([...words]);
  if (others.length > 0) return fail(`it takes one value, not ${words.length}`);
  if (kind === 'table') return tomlOf(first);
  if (kind === 'boolean') {
    const value = truth[first.toLowerCase()];
    return value === undefined ? fail(`${first} is neither true nor false`) : ok(value);
  }
  if (kind === 'number')
    return /^-?\d+(\.\d+)?$/.test(first) ? ok(Number(first)) : fail(`${first} is no number`);
  return ok(first);
}

const modeOf = (target: Target): number => (target.scope === 'user' ? 0o600 : 0o644);

async function save(context: Context, target: Target, text: string): Promise<Result<undefined>> {
  const written = replaceFile(target.file, text, { mode: modeOf(target) });
  if (written.ok) await tellDaemon(context.layout);
  else if (target.scope === 'system')
    return fail(written.failure.reason, 'do it as root, or say --user for yourself alone');
  return written;
}

/** What is wrong with a key in a text, or with all of it. */
function problemWith(target: Target, text: string, name: string): string | undefined {
  const problems = checkText(target.file, text, target.schema);
  const own = problems.find(({ key }) => key === name || key.startsWith(`${name}[`) || key === '');
  return own === undefined ? undefined : describe(own);
}

/** What stands in the way of a key that was set just now. */
function warningsFor(context: Context, { scope, file }: Target, name: string): string[] {
  const layers = readLayers(context.layout, context.env, projectHere(context));
  const own = warningsOf(layers, context.layout).filter(
    (warning) => warning.file === file && warning.key === name,
  );
  const { project } = layers;
  const waits =
    scope === 'project' &&
    project?.value !== undefined &&
    keysInNeed(project.value).some((key) => key === name) &&
    !isTrusted(context.layout, file, project.text);
  return [
    ...own.map(({ message }) => message),
    ...(waits ? ['it has no effect until you run rch trust'] : []),
  ];
}

export type SetOptions = {
  readonly scope: Asked;
  readonly key: string;
  readonly values: readonly string[];
};

export function configSet(context: Context, options: SetOptions): Promise<Outcome> {
  return alone(context.layout.lib, () => set(context, options));
}

async function set(context: Context, options: SetOptions): Promise<Outcome> {
  const { key, values } = options;
  if (values.length === 0)
    return fail(`${key} needs a value`, `rch config set ${key} VALUE, or rch config unset ${key}`);
  const target = targetFor(context, options.scope, key);
  if (!target.ok) return target;
  const { file, path, setting, entry, scope } = target.value;
  const value = valueOf(entry ? 'text' : setting.kind, values);
  if (!value.ok) return fail(`${key}: ${value.failure.reason}`, `rch config get ${key}`);
  const before = readText(file);
  if (!before.ok) return before;
  const after = setValue(before.value, path, value.value);
  if (!after.ok) return fail(`${file}: ${after.failure.reason}`, after.failure.next);
  const problem = problemWith(target.value, after.value, key);
  if (problem !== undefined) return fail(`nothing was changed: ${problem}`, 'rch config keys');
  const saved = await save(context, target.value, after.value);
  if (!saved.ok) return saved;
  const warnings = warningsFor(context, target.value, setting.name);
  return ok({
    facts: { key, value: value.value, scope, file, warnings },
    text: ({ colors }) =>
      [
        `${key} = ${tomlValue(value.value)} (${scope}, ${file})`,
        ...warnings.map((warning) => `${colors.yellow('warning:')} ${warning}`),
      ].join('\n'),
  });
}

export function configUnset(context: Context, asked: Asked, key: string): Promise<Outcome> {
  return alone(context.layout.lib, () => unset(context, asked, key));
}

async function unset(context: Context, asked: Asked, key: string): Promise<Outcome> {
  const target = targetFor(context, asked, key);
  if (!target.ok) return target;
  const { file, path, scope } = target.value;
  const before = readText(file);
  if (!before.ok) return before;
  const after = unsetValue(before.value, path);
  if (!after.ok) return fail(`${file}: ${after.failure.reason}`, after.failure.next);
  if (after.value === undefined)
    return fail(`${key} is not set in ${file}`, `rch config show --origin ${key}`);
  const saved = await save(context, target.value, after.value);
  if (!saved.ok) return saved;
  return ok({
    facts: { key, scope, file },
    text: () => `${key} is no longer set (${scope}, ${file})`,
  });
}

/** A file with every key as a comment. */
export async function configInit(context: Context, asked: Asked): Promise<Outcome> {
  const target = targetOf(context, asked ?? 'project');
  const { file, scope } = target;
  if (existsSync(file)) return fail(`${file} is there already`, 'rch config edit');
  const saved = await save(
    context,
    target,
    templateOf(target.settings, scope, examplesFor(context, scope)),
  );
  if (!saved.ok) return saved;
  return ok({
    facts: { scope, file },
    text: () => `made ${file}: every key is in it, as a comment\nnext: rch config edit --${scope}`,
  });
}

/** Back to the defaults of one file; the old one stays beside it. */
export async function configReset(context: Context, asked: Asked): Promise<Outcome> {
  const { file, scope } = targetWithout(context, asked);
  if (!existsSync(file))
    return fail(`there is no ${file}: nothing is set there`, 'rch config show');
  const old = `${file}.old`;
  try {
    renameSync(file, old);
  } catch (thrown) {
    return fail(`${file} cannot be moved: ${messageOf(thrown)}`);
  }
  await tellDaemon(context.layout);
  return ok({
    facts: { scope, file, old },
    text: () => `nothing is set in ${file} any more; what was is in ${old}`,
  });
}
