/** `rch doctor`: the hook in the settings of coding agents. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Result } from '../../base/result.ts';
import { ok } from '../../base/result.ts';
import { agentNames, pointOf, type AgentName } from '../hook/agents.ts';
import { entryFor, hookInstall, hookProgram } from '../hook/install.ts';
import { hookRows, type HookRow } from '../hook/status.ts';
import type { Context } from '../report.ts';
import { failed, pass, warn, type Check } from './check.ts';

/** Writes the entry anew, with the program of this installation, before all other hooks. */
function renew(context: Context, agent: AgentName, row: HookRow): Promise<Result<string>> {
  const done = hookInstall(context, { agent, scope: row.scope });
  return Promise.resolve(done.ok ? ok(`renewed the entry in ${row.file}`) : done);
}

const scopeFlag = (row: HookRow): string => (row.scope === 'user' ? '' : ` --${row.scope}`);

/** Whether rch-hook is there and is this installation's launcher. */
function sound(context: Context): boolean {
  const program = hookProgram(context.layout);
  if (!existsSync(program)) return false;
  const [own, launcher] = [program, join(context.layout.lib, 'rch-shim')].map((file) =>
    statSync(file, { throwIfNoEntry: false }),
  );
  return own !== undefined && own.ino === launcher?.ino && own.dev === launcher.dev;
}

function rowCheck(context: Context, agent: AgentName, row: HookRow): Check[] {
  const point = pointOf(agent);
  if (point === undefined) return [];
  const at = { id: `hook.${agent}.${row.scope}`, title: `${point.title}, ${row.scope}` };
  if (row.problem !== '')
    return [
      warn(at, `${row.file} cannot be read: ${row.problem}`, {
        mend: `\${EDITOR:-vi} '${row.file}'`,
      }),
    ];
  if (!row.installed) return [];
  const how = {
    mend: `rch hook install --agent ${agent}${scopeFlag(row)}`,
    fix: () => renew(context, agent, row),
  };
  if (row.disabled)
    return [
      warn(at, `it is in ${row.file}, which turns all hooks off`, {
        mend: `take "disableAllHooks" out of '${row.file}'`,
      }),
    ];
  if (!sound(context))
    return [failed(at, `${hookProgram(context.layout)} is missing or not the launcher`, how)];
  if (row.command !== entryFor(context.layout, point).command)
    return [failed(at, `${row.file} names another installation: ${row.command ?? ''}`, how)];
  if (!row.first) return [warn(at, `other hooks stand before it in ${row.file}`, how)];
  if (!row.whole)
    return [warn(at, `it is not told of the beginning of sessions by ${row.file}`, how)];
  return [pass(at, `in ${row.file}`)];
}

export function checkHook(context: Context): Promise<Check[]> {
  const checks = agentNames.flatMap((agent) =>
    hookRows(context, agent).flatMap((row) => rowCheck(context, agent, row)),
  );
  const none = pass(
    { id: 'hook', title: 'agents' },
    'in no settings; where the shims are on PATH none is needed',
  );
  return Promise.resolve(checks.length === 0 ? [none] : checks);
}
