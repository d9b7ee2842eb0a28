/**
 * The lines that put the shims first on PATH in shells: a marked block in each profile, taken out again to the byte.
 * ```
 * # >>> rch shims >>> made=2 joined        (made: file and 2 folders above it are ours; joined: the line before had no end)
 * …
 * # <<< rch shims <<<
 * ```
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../base/result.ts';

export const shells = ['bash', 'zsh', 'fish', 'sh'] as const;
export type Shell = (typeof shells)[number];

type Environment = Readonly<Record<string, string | undefined>>;

export type ProfileChange = {
  readonly file: string;
  readonly change: 'added' | 'renewed' | 'removed' | 'unchanged' | 'failed';
  /** Why it failed; else empty. */
  readonly reason: string;
};

const opening = '# >>> rch shims >>>';
const closing = '# <<< rch shims <<<';

/** A word that a POSIX shell and fish read as it is. */
function quoted(text: string, shell: Shell): string {
  const inside =
    shell === 'fish'
      ? text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")
      : text.replace(/'/g, "'\\''");
  return `'${inside}'`;
}

/** Lines for `eval` or a profile; doing them again changes nothing. */
export function pathLines(shell: Shell, folder: string): string {
  if (shell === 'fish')
    return [
      `set -l rch_shims ${quoted(folder, shell)}`,
      'if test "$PATH[1]" != "$rch_shims"',
      '    set -gx PATH "$rch_shims" $PATH',
      'end',
    ].join('\n');
  const first = quoted(folder, shell);
  return [
    'case ":$PATH:" in',
    `  :${first}:*) ;;`,
    `  *) PATH=${first}"\${PATH:+:$PATH}"; export PATH ;;`,
    'esac',
  ].join('\n');
}

function onPath(env: Environment, name: string): boolean {
  return (env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, name)));
}

/** Which files a shell reads: those a login reads, and those an interactive one does. */
export function profilesOf(shell: Shell, env: Environment): string[] {
  const home = env['HOME'] ?? '/';
  switch (shell) {
    case 'sh':
      return [join(home, '.profile')];
    case 'bash': {
      // bash(1), INVOCATION: a login shell reads the first of these that there is, and no other.
      const login = ['.bash_profile', '.bash_login'].find((name) => existsSync(join(home, name)));
      return [join(home, '.bashrc'), ...(login === undefined ? [] : [join(home, login)])];
    }
    case 'zsh':
      return [join(env['ZDOTDIR'] ?? home, '.zshrc')];
    case 'fish':
      return [join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'fish', 'conf.d', 'rch.fish')];
  }
}

/** The shells whose profiles `install` changes unless some are named: sh, and those that are used here. */
export function usedShells(env: Environment): Shell[] {
  return shells.filter(
    (shell) =>
      shell === 'sh' ||
      onPath(env, shell) ||
      profilesOf(shell, env).some((file) => existsSync(file)),
  );
}

type Block = {
  readonly before: string;
  readonly after: string;
  /** How many folders above the file are ours; undefined: not even the file is. */
  readonly made: number | undefined;
};

function madeOf(marks: readonly string[]): number | undefined {
  const mark = marks.find((each) => each.startsWith('made='));
  return mark === undefined ? undefined : Number(mark.slice('made='.length));
}

/** How many folders above `file` are missing. */
function missingAbove(file: string): number {
  const folder = dirname(file);
  return existsSync(folder) ? 0 : 1 + missingAbove(folder);
}

/** Takes away up to `most` empty folders above `file`. */
function removeAbove(file: string, most: number): void {
  let folder = dirname(file);
  for (let left = most; left > 0; left--) {
    if (readdirSync(folder).length > 0) return;
    rmdirSync(folder);
    folder = dirname(folder);
  }
}

/** Splits a file around our block; undefined when it has none. */
function findBlock(text: string): Block | undefined {
  const lines = text.split('\n');
  const from = lines.findIndex((line) => line.startsWith(opening));
  if (from < 0) return undefined;
  const till = lines.findIndex((line, index) => index > from && line === closing);
  if (till < 0) return undefined;
  const marks = lines[from]?.slice(opening.length).trim().split(' ') ?? [];
  const before = lines.slice(0, from).join('\n');
  const ended = from === 0 ? '' : '\n';
  const after = lines.slice(till + 1).join('\n');
  return {
    // What was added below since then needs the line above it ended.
    before: marks.includes('joined') && after === '' ? before : before + ended,
    after,
    made: madeOf(marks),
  };
}

function block(shell: Shell, folder: string, marks: readonly string[]): string {
  return [
    [opening, ...marks].join(' '),
    '# rch puts its shims first on PATH; `rch shim uninstall` takes these lines out again.',
    pathLines(shell, folder),
    closing,
    '',
  ].join('\n');
}

/** Replaces the content of a file, or of the file a link leads to, at once; keeps its mode. */
function replace(file: string, bytes: Buffer): void {
  const real = existsSync(file) ? realpathSync(file) : file;
  const mode = existsSync(real) ? statSync(real).mode & 0o7777 : 0o644;
  mkdirSync(dirname(real), { recursive: true });
  const fresh = `${real}.rch-new`;
  writeFileSync(fresh, bytes, { mode });
  renameSync(fresh, real);
}

function addTo(file: string, shell: Shell, folder: string): ProfileChange['change'] {
  const text = existsSync(file) ? readFileSync(file, 'latin1') : undefined;
  const old = text === undefined ? undefined : findBlock(text);
  const rest = old === undefined ? (text ?? '') : old.before + old.after;
  const joined = rest !== '' && !rest.endsWith('\n');
  const made = text === undefined ? missingAbove(file) : rest === '' ? old?.made : undefined;
  const marks = [...(made === undefined ? [] : [`made=${made}`]), ...(joined ? ['joined'] : [])];
  const whole = Buffer.concat([
    Buffer.from(joined ? `${rest}\n` : rest, 'latin1'),
    Buffer.from(block(shell, folder, marks), 'utf8'),
  ]);
  if (whole.toString('latin1') === text) return 'unchanged';
  replace(file, whole);
  return old === undefined ? 'added' : 'renewed';
}

function removeFrom(file: string): ProfileChange['change'] {
  if (!existsSync(file)) return 'unchanged';
  const old = findBlock(readFileSync(file, 'latin1'));
  if (old === undefined) return 'unchanged';
  const rest = old.before + old.after;
  if (old.made !== undefined && rest === '') {
    rmSync(file);
    removeAbove(file, old.made);
  } else replace(file, Buffer.from(rest, 'latin1'));
  return 'removed';
}

function attempt(file: string, action: () => ProfileChange['change']): ProfileChange {
  try {
    return { file, change: action(), reason: '' };
  } catch (thrown) {
    return { file, change: 'failed', reason: messageOf(thrown) };
  }
}

/** Adds or renews the block in the profiles of `wanted`. */
export function addToProfiles(
  wanted: readonly Shell[],
  env: Environment,
  folder: string,
): ProfileChange[] {
  return wanted.flatMap((shell) =>
    profilesOf(shell, env).map((file) => attempt(file, () => addTo(file, shell, folder))),
  );
}

/** Every file that may hold our block. */
function everyProfile(env: Environment): string[] {
  const home = env['HOME'] ?? '/';
  const more = ['.bash_profile', '.bash_login'].map((name) => join(home, name));
  return [...new Set([...shells.flatMap((shell) => profilesOf(shell, env)), ...more])];
}

/** Takes the block out of every profile that has it. */
export function removeFromProfiles(env: Environment): ProfileChange[] {
  return everyProfile(env)
    .map((file) => attempt(file, () => removeFrom(file)))
    .filter((change) => change.change !== 'unchanged');
}

/** The profiles that hold our block now. */
export function profilesWithBlock(env: Environment): string[] {
  return everyProfile(env).filter((file) => {
    try {
      return findBlock(readFileSync(file, 'latin1')) !== undefined;
    } catch {
      return false;
    }
  });
}
