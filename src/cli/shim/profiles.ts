/** The profiles of shells, with the block that puts the shims first on PATH: which they are, and what is done to them. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { behindLinks, missingAbove, removeAbove, replaceUserFile } from '../user-file.ts';
import { blockFor, findBlocks, shells, type Shell } from './block.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type ProfileChange = {
  readonly file: string;
  readonly change: 'added' | 'renewed' | 'removed' | 'unchanged' | 'failed';
  /** Why it failed; else empty. */
  readonly reason: string;
};

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

type Done = Result<Exclude<ProfileChange['change'], 'failed'>>;

function attempt(file: string, action: () => Done): ProfileChange {
  try {
    const done = action();
    return done.ok
      ? { file, change: done.value, reason: '' }
      : { file, change: 'failed', reason: done.failure.reason };
  } catch (thrown) {
    return { file, change: 'failed', reason: messageOf(thrown) };
  }
}

/** A byte a character, so that whatever the file holds comes back as it was; undefined: no file. */
const textOf = (file: string): string | undefined =>
  existsSync(file) ? readFileSync(file, 'latin1') : undefined;

const changedLines = (line: number): Done =>
  fail(
    `lines of ours were changed there (line ${line}); take out by hand what is ours, with both marks "rch shims", and do this again`,
  );

function replace(file: string, old: string | undefined, bytes: Buffer): void {
  replaceUserFile(file, bytes, () => textOf(file) === old);
}

function addTo(file: string, shell: Shell, folder: string): Done {
  const text = textOf(file);
  const found = findBlocks(text ?? '');
  if (found.kind === 'changed') return changedLines(found.line);
  const rest = found.kind === 'none' ? (text ?? '') : found.rest;
  const before = found.kind === 'none' ? undefined : found.made;
  const joined = rest !== '' && !rest.endsWith('\n');
  const made =
    text === undefined ? missingAbove(behindLinks(file)) : rest === '' ? before : undefined;
  const whole = Buffer.concat([
    Buffer.from(joined ? `${rest}\n` : rest, 'latin1'),
    Buffer.from(blockFor(shell, folder, { made, joined }), 'utf8'),
  ]);
  if (whole.toString('latin1') === text) return ok('unchanged');
  replace(file, text, whole);
  return ok(found.kind === 'none' ? 'added' : 'renewed');
}

function removeFrom(file: string): Done {
  const text = textOf(file);
  const found = findBlocks(text ?? '');
  if (found.kind === 'none') return ok('unchanged');
  if (found.kind === 'changed') return changedLines(found.line);
  if (found.made !== undefined && found.rest === '') {
    const real = behindLinks(file);
    rmSync(real);
    removeAbove(real, found.made);
  } else replace(file, text, Buffer.from(found.rest, 'latin1'));
  return ok('removed');
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

/** The profiles that hold lines of ours now, changed by somebody or not. */
export function profilesWithLines(env: Environment): string[] {
  return everyProfile(env).filter((file) => {
    try {
      return findBlocks(textOf(file) ?? '').kind !== 'none';
    } catch {
      return false;
    }
  });
}
