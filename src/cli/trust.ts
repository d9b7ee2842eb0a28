/** `rch trust`: vouches for a project's .rch/config.toml as it is now, lists what is trusted, or takes it back. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fail, ok } from '../base/result.ts';
import { readLayer } from '../config/layers.ts';
import { projectConfigFile } from '../config/load.ts';
import { describe } from '../config/problems.ts';
import { keysInNeed } from '../config/project-layer.ts';
import { projectRootOf } from '../config/project-root.ts';
import { projectFile, type ProjectConfig } from '../config/project-schema.ts';
import { readText } from '../config/replace-file.ts';
import { isTrusted, revoke, trust, trustedFiles } from '../config/trust.ts';
import { tomlValue } from '../config/toml-value.ts';
import { printable } from './render/text.ts';
import type { Context, Outcome } from './report.ts';
import { tellDaemon } from './workers/tell.ts';

/** The file of the project at, or around, a folder; a file as it is. */
function fileOf({ env }: Context, named: string | undefined): string {
  const path = resolve(named ?? '.');
  return path.endsWith('.toml') ? path : projectConfigFile(projectRootOf(path, env['HOME']));
}

/** What takes effect by the trust, a line each. */
function effects(config: ProjectConfig): string[] {
  const { workers, transfer, execution, hooks } = config;
  const values: Readonly<Record<string, string>> = {
    'workers.preferred': workers.preferred ?? '',
    'transfer.force_include': tomlValue(transfer.forceInclude),
    'execution.env': tomlValue(execution.env),
    'hooks.pre_transfer': hooks.preTransfer ?? '',
    'hooks.post_compile': hooks.postCompile ?? '',
    'hooks.on_fallback': hooks.onFallback ?? '',
  };
  return keysInNeed(config).map((name) => `  ${name} = ${printable(values[name] ?? '')}`);
}

export async function trustProject(context: Context, named: string | undefined): Promise<Outcome> {
  const { layout } = context;
  const file = fileOf(context, named);
  if (!existsSync(file)) return fail(`there is no ${file}`, 'rch config init');
  const layer = readLayer(file, projectFile, { foreign: true });
  if (layer.value === undefined)
    return fail(layer.problems.map(describe).join('\n'), 'rch config edit --project');
  const keys = keysInNeed(layer.value);
  const before = isTrusted(layout, file, layer.text);
  const written = trust(layout, file, layer.text);
  if (!written.ok) return written;
  await tellDaemon(layout);
  const lines = effects(layer.value);
  return ok({
    facts: { file, keys, before },
    text: ({ colors }) =>
      lines.length === 0
        ? `trusted ${file}; nothing in it needs that now`
        : [colors.green(`trusted ${file}, until it changes:`), ...lines].join('\n'),
  });
}

export async function revokeTrust(context: Context, named: string | undefined): Promise<Outcome> {
  const file = fileOf(context, named);
  const revoked = revoke(context.layout, file);
  if (!revoked.ok) return revoked;
  if (!revoked.value) return fail(`${file} was not trusted`, 'rch trust --list');
  await tellDaemon(context.layout);
  return ok({ facts: { file, revoked: true }, text: () => `${file} is no longer trusted` });
}

export function listTrust({ layout }: Context): Outcome {
  const rows = trustedFiles(layout).map(({ file, at, sha256 }) => {
    const text = readText(file);
    const state = !existsSync(file)
      ? 'gone'
      : text.ok && isTrusted(layout, file, text.value)
        ? 'trusted'
        : 'changed';
    return { file, at, sha256, state };
  });
  return ok({
    facts: rows,
    text: ({ colors }) =>
      rows.length === 0
        ? 'no project file is trusted'
        : rows
            .map(({ file, at, state }) => {
              const word = state === 'trusted' ? colors.green(state) : colors.yellow(state);
              const next = state === 'changed' ? ' (since: rch trust looks at it anew)' : '';
              return `${word}  ${at.slice(0, 10)}  ${file}${next}`;
            })
            .join('\n'),
  });
}
