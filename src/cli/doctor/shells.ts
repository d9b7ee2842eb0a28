/**
 * The PATH that a fresh shell of each kind ends up with: it is started as a terminal or a login would start it, its
 * profiles run, and so does what they have run before each prompt (mise, direnv and their kin move PATH there).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from '../../facts/answer.ts';
import type { Shell } from '../shim/block.ts';
import { withFishFolders } from './fish-folders.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type ShellKind = {
  readonly shell: Shell;
  /** For people. */
  readonly title: string;
  readonly args: readonly string[];
};

/** Before and after PATH: profiles may print whatever they like. */
const OPEN = 'rch-path<';
const CLOSE = '>rch-path';

const print = `printf '\\n${OPEN}%s${CLOSE}\\n' "$PATH"`;
const printFish = `printf '\\n${OPEN}%s${CLOSE}\\n' (string join : $PATH)`;

export const shellKinds: readonly ShellKind[] = [
  {
    shell: 'bash',
    title: 'bash',
    args: ['-i', '-c', `for c in "\${PROMPT_COMMAND[@]}"; do eval "$c"; done; ${print}`],
  },
  { shell: 'bash', title: 'bash, login', args: ['-l', '-c', print] },
  {
    shell: 'zsh',
    title: 'zsh',
    args: ['-i', '-c', `for f in $precmd_functions; do $f; done; ${print}`],
  },
  { shell: 'fish', title: 'fish', args: ['-c', printFish] },
  { shell: 'sh', title: 'sh, login', args: ['-l', '-c', print] },
];

/** ms for the profiles of one shell. */
const PROFILES_MS = 15_000;

/** What a session gives its shells, as far as it matters to profiles. */
const kept = ['HOME', 'USER', 'LOGNAME', 'LANG', 'SHELL', 'ZDOTDIR'] as const;

/**
 * A fresh session's environment: PATH has the folders of ours that lie outside the home folder, as those inside were
 * put there by profiles, which shall show whether they still do.
 */
export function sessionEnvironment(env: Environment, shims: string): Record<string, string> {
  const home = env['HOME'] ?? '/';
  const usual = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  const ours = (env['PATH'] ?? '')
    .split(':')
    .filter((folder) => folder.startsWith('/') && folder !== shims)
    .filter((folder) => home === '/' || !folder.startsWith(`${home}/`));
  const names = Object.keys(env).filter((name) => /^XDG_|^LC_/.test(name));
  const given = [...kept, ...names].flatMap((name) => {
    const value = env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(given),
    TERM: 'dumb',
    // Tools that a profile runs must not travel while somebody looks what is wrong.
    RCH_BYPASS: '1',
    PATH: [...new Set([...ours, ...usual])].join(':'),
  };
}

/** PATH between our marks; undefined where the shell never got there. */
export function parsePath(output: string): string | undefined {
  const from = output.lastIndexOf(OPEN);
  const till = output.indexOf(CLOSE, from);
  return from < 0 || till < 0 ? undefined : output.slice(from + OPEN.length, till);
}

/**
 * The first interactive fish of an account, or the first prompt, writes completions for minutes, which is not ours to
 * begin: where that was not done yet, only what every fish reads is looked at.
 */
function argsFor(kind: ShellKind, env: Readonly<Record<string, string>>): readonly string[] {
  const data = env['XDG_DATA_HOME'] ?? join(env['HOME'] ?? '/', '.local', 'share');
  return kind.shell === 'fish' && existsSync(join(data, 'fish', 'generated_completions'))
    ? ['-i', '-c', `emit fish_prompt; ${printFish}`]
    : kind.args;
}

/** PATH in such a shell; undefined when it did not come through its profiles in time. */
export async function pathIn(
  kind: ShellKind,
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const args = argsFor(kind, env);
  const asked = async (given: Readonly<Record<string, string>>): Promise<string | undefined> => {
    const answer = await ask([kind.shell, ...args], {
      path: given['PATH'] ?? '',
      deadline: PROFILES_MS,
      env: given,
    });
    return answer === undefined ? undefined : parsePath(answer.stdout);
  };
  return kind.shell === 'fish' ? withFishFolders(env, asked) : asked(env);
}
