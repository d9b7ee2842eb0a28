/** `rch shim install|uninstall`: links, and lines in profiles. */
import { ok } from '../../base/result.ts';
import { printable } from '../render/text.ts';
import { exitCodes, type Context, type Look, type Outcome } from '../report.ts';
import type { Shell } from './block.ts';
import { addToProfiles, removeFromProfiles, usedShells, type ProfileChange } from './profiles.ts';
import { makeLinks, realTool, removeLinks } from './tools.ts';

function profileLines(changes: readonly ProfileChange[], { colors }: Look): string[] {
  return changes.map(({ file, change, reason }) =>
    change === 'failed'
      ? colors.red(`could not change ${printable(file)}: ${reason}`)
      : `${change === 'unchanged' ? 'as it was' : change}: a marked block in ${printable(file)}`,
  );
}

export type InstallOptions = {
  /** Tools by name, installed or not. */
  readonly tools: readonly string[];
  /** Undefined: those used here; empty: none. */
  readonly shells: readonly Shell[] | undefined;
};

export function shimInstall(context: Context, options: InstallOptions): Outcome {
  const { layout, env } = context;
  const links = makeLinks(layout, env['PATH'] ?? '', options.tools);
  if (!links.ok) return links;
  const { linked, removed } = links.value;
  const absent = options.tools.filter(
    (tool) => realTool(layout, env['PATH'] ?? '', tool) === undefined,
  );
  const profiles = addToProfiles(options.shells ?? usedShells(env), env, layout.shims);
  return ok({
    facts: { dir: layout.shims, linked, removed, absent, profiles },
    text: (look) =>
      [
        `shims in ${layout.shims}: ${linked.length === 0 ? 'none, as no tool was found on PATH' : linked.join(' ')}`,
        ...(removed.length === 0 ? [] : [`removed, as the tool is gone: ${removed.join(' ')}`]),
        ...absent.map((tool) =>
          look.colors.yellow(
            `${tool} is nowhere on PATH: its shim says "command not found" until it is; to take it out: rch shim uninstall --tool ${tool}`,
          ),
        ),
        ...profileLines(profiles, look),
        ...(profiles.some((each) => each.change === 'added' || each.change === 'renewed')
          ? ['new shells have the shims first on PATH; in this one: eval "$(rch shim env)"']
          : []),
        ...(options.shells?.length === 0 ? ['no profile was changed'] : []),
      ].join('\n'),
    exit: profiles.some((each) => each.change === 'failed') ? exitCodes.failed : exitCodes.done,
  });
}

/** Without names: all links, and every block in a profile. With names: those links alone. */
export function shimUninstall(context: Context, tools: readonly string[]): Outcome {
  const { layout, env } = context;
  const removed = removeLinks(layout, tools);
  const profiles = tools.length === 0 ? removeFromProfiles(env) : [];
  return ok({
    facts: { dir: layout.shims, removed, profiles },
    text: (look) =>
      [
        removed.length === 0
          ? 'there was no shim to remove'
          : `removed the shims ${removed.join(' ')}`,
        ...profileLines(profiles, look),
        ...(profiles.length === 0
          ? []
          : ['shells that run now still have the folder on PATH; it is harmless']),
      ].join('\n'),
    exit: profiles.some((each) => each.change === 'failed') ? exitCodes.failed : exitCodes.done,
  });
}
