/** `rch doctor`: whether the shims come first on PATH, here and in each shell. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '../../base/result.ts';
import { nearest } from '../../base/nearest.ts';
import { isOn, requestSettings, requestVariables, switchOf } from '../../config/request.ts';
import { agentNames, pointOf } from '../hook/agents.ts';
import { hookRows } from '../hook/status.ts';
import type { Context } from '../report.ts';
import { foldersInFront, type InFront } from '../shim/in-front.ts';
import type { Shell } from '../shim/block.ts';
import { addToProfiles, profilesOf, profilesWithLines } from '../shim/profiles.ts';
import { shimRows, shimsOnPath } from '../shim/tools.ts';
import { failed, pass, warn, type At, type Check } from './check.ts';
import { pathIn, sessionEnvironment, shellKinds, type ShellKind } from './shells.ts';

/** What a PATH means for the shims. */
export type Seen = {
  readonly on: boolean;
  /** Folders before them that have tools of the same names. */
  readonly front: readonly InFront[];
};

function look({ layout, env }: Context, path: string): Seen {
  const rows = shimRows(layout, path);
  const on = shimsOnPath(layout, path);
  const front = on && rows.ok ? foldersInFront(rows.value, layout.shims, env['DIRENV_DIR']) : [];
  return { on, front };
}

const whose = ({ folder, by, tools }: InFront): string =>
  `${by === '' ? folder : `${folder} (${by})`} stands before the shims, with ${tools.join(' ')}`;

/** Of the PATH that this command was started with. */
function hereCheck(context: Context): Check {
  const at = { id: 'path.here', title: 'this shell' };
  const { on, front } = look(context, context.env['PATH'] ?? '');
  if (!on)
    return warn(at, 'the shims are not on its PATH: what is typed here runs here', {
      mend: 'eval "$(rch shim env)"',
    });
  if (front.length === 0) return pass(at, 'the shims are first on PATH');
  return failed(at, front.map(whose).join('; '), {
    mend: front.map(({ next }) => next).join('; '),
  });
}

export type ShellLook = {
  /** Undefined: its profiles did not get through. */
  readonly seen: Seen | undefined;
  /** One of its profiles has our lines. */
  readonly lines: boolean;
  /** It is the user's, or has profiles. */
  readonly used: boolean;
};

/** Decides about one shell; `renew`: to have our lines put at the end of its profiles might help. */
export function judgeShell(
  at: At,
  shell: Shell,
  { seen, lines, used }: ShellLook,
): { readonly check: Check; readonly renew: boolean } {
  const install = `rch shim install --shell ${shell}`;
  if (seen === undefined)
    return {
      check: warn(at, 'its profiles do not get to their end', { mend: `time ${shell} -i -c true` }),
      renew: false,
    };
  if (seen.on && seen.front.length === 0)
    return { check: pass(at, 'the shims are first on PATH'), renew: false };
  if (seen.on) {
    const mend = lines ? install : seen.front.map(({ next }) => next).join('; ');
    return { check: failed(at, seen.front.map(whose).join('; '), { mend }), renew: lines };
  }
  if (lines)
    return {
      check: failed(at, 'our lines are in its profile, but something sets PATH anew after them', {
        mend: install,
      }),
      renew: true,
    };
  if (used)
    return {
      check: warn(at, 'the shims are not on PATH: what is typed there runs here', {
        mend: install,
      }),
      renew: false,
    };
  return { check: pass(at, 'not used, as it has no profile'), renew: false };
}

/** Puts our lines to the end of the profiles that have them. */
function renew({ layout, env }: Context, shell: Shell): Result<string> {
  const changes = addToProfiles([shell], env, layout.shims);
  const broken = changes.find(({ change }) => change === 'failed');
  if (broken !== undefined) return fail(`${broken.file}: ${broken.reason}`);
  const changed = changes.filter(({ change }) => change !== 'unchanged');
  return changed.length === 0
    ? fail('our lines are at the end of the profile already')
    : ok(`our lines are now the last of ${changed.map(({ file }) => file).join(', ')}`);
}

async function shellCheck(
  context: Context,
  kind: ShellKind,
): Promise<{ readonly check: Check; readonly on: boolean }> {
  const { layout, env } = context;
  const { shell, title } = kind;
  const at = { id: `path.${title.replace(', ', '-')}`, title };
  const path = await pathIn(kind, sessionEnvironment(env, layout.shims));
  const profiles = profilesOf(shell, env);
  const own = profilesWithLines(env);
  const lines = profiles.some((file) => own.includes(file));
  const used =
    env['SHELL']?.endsWith(`/${shell}`) === true || profiles.some((file) => existsSync(file));
  const seen = path === undefined ? undefined : look(context, path);
  const { check, renew: may } = judgeShell(at, shell, { seen, lines, used });
  const fix = { fix: () => Promise.resolve(renew(context, shell)) };
  return { check: { ...check, ...(may ? fix : {}) }, on: seen?.on ?? false };
}

const installed = (env: Context['env'], name: string): boolean =>
  (env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, name)));

/** Whether anything at all leads commands to us. */
function reachCheck(context: Context, on: boolean): Check {
  const at = { id: 'path.reach', title: 'any way' };
  if (on) return pass(at, 'commands come to the shims by PATH');
  const hooked = agentNames.some(
    (agent) => pointOf(agent) !== undefined && hookRows(context, agent).some((r) => r.installed),
  );
  if (hooked) return pass(at, 'commands of coding agents come by the hook');
  return failed(at, 'no shell has the shims on PATH and no agent has the hook: all runs here', {
    mend: 'rch shim install',
  });
}

/** Names that `nearest` may find; those of our own programs among them, lest they be taken for misspelt ones. */
const variableNames = [
  ...requestVariables.map(([example]) => example.replace(/=.*/, '')),
  ...['RCH_SHIM', 'RCH_ON_WORKER', 'RCH_WORKER_FILE', 'RCH_HOOK'],
];

/** RCH_ variables of this shell that are named almost as ours are, and so do nothing. */
function misspelt({ env }: Context): string[] {
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith('RCH_') || variableNames.includes(name)) return [];
    const meant = nearest(name, variableNames);
    return meant === undefined ? [] : [`${name} (did you mean ${meant}?)`];
  });
}

/** RCH_ variables of this shell that keep everything here, or mean nothing. */
function variablesCheck(context: Context): Check {
  const { env } = context;
  const at = { id: 'path.variables', title: 'variables' };
  const set = [
    ...['RCH_BYPASS', 'RCH_LOCAL_ONLY', 'RCH_DRY_RUN'].filter((name) => isOn(env[name])),
    ...['RCH_ENABLED'].filter((name) => switchOf(env[name]) === false),
  ];
  const wrong = requestSettings(env);
  if (!wrong.ok)
    return warn(at, `${wrong.failure.reason}: every command runs here`, {
      mend: 'set it right, or unset it',
    });
  const odd = misspelt(context);
  if (set.length === 0 && odd.length > 0)
    return warn(at, `nothing reads ${odd.join(', ')}`, { mend: 'rename it, or unset it' });
  return set.length === 0
    ? pass(at, 'none of this shell keeps commands here')
    : warn(at, `${set.join(' and ')} of this shell keeps every command here`, {
        mend: `unset ${set.join(' ')}`,
      });
}

export async function checkPath(context: Context): Promise<Check[]> {
  const here = hereCheck(context);
  const kinds = shellKinds.filter(({ shell }) => installed(context.env, shell));
  const shells = await Promise.all(kinds.map((kind) => shellCheck(context, kind)));
  const onHere = shimsOnPath(context.layout, context.env['PATH'] ?? '');
  const reach = reachCheck(context, onHere || shells.some(({ on }) => on));
  return [here, ...shells.map(({ check }) => check), reach, variablesCheck(context)];
}
