/** Lays the files of a case into its folder, twice alike: names, contents, modes and times. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fail, ok, type Result } from '../../base/result.ts';
import type { Case, LaidFile } from './case-file.ts';

/** Seconds since 1970 that the first file gets; each next one is a second younger, as though typed in that order. */
const FIRST = 1_750_000_000;

function layFiles(folder: string, files: Case['files']): void {
  for (const [index, [name, laid]] of Object.entries(files).entries()) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    const file: Exclude<LaidFile, string> = typeof laid === 'string' ? { text: laid } : laid;
    if (file.folder === true) mkdirSync(path, { recursive: true });
    else if (file.link !== undefined) symlinkSync(file.link, path);
    else {
      const { text } = file;
      writeFileSync(path, text);
      chmodSync(path, Number.parseInt(file.mode ?? (text.startsWith('#!') ? '755' : '644'), 8));
      utimesSync(path, FIRST + index, FIRST + index);
    }
  }
}

/** A case's folder, and beside it the tree as it is before the run. */
export type Place = {
  readonly folder: string;
  /** What `before` left, kept aside; there only for cases that have one. */
  readonly seed: string;
};

/**
 * Makes the folder afresh. The line `before` runs once, at the very path; later the tree that it left is laid again,
 * to the nanosecond.
 */
export function lay(
  one: Case,
  place: Place,
  env: Readonly<Record<string, string>>,
): Result<undefined> {
  const { folder, seed } = place;
  rmSync(folder, { recursive: true, force: true });
  if (existsSync(seed)) return copy(seed, folder);
  mkdirSync(folder, { recursive: true });
  layFiles(folder, one.files);
  if (one.before === undefined) return ok(undefined);
  const done = spawnSync('/bin/sh', ['-ec', one.before], {
    cwd: folder,
    env: { ...env, ...one.env },
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (done.status !== 0)
    return fail(`its preparation failed (${one.before}): ${done.stderr}${done.stdout}`);
  return copy(folder, seed);
}

/** By cp(1), which keeps times to the nanosecond, links and modes. */
function copy(from: string, to: string): Result<undefined> {
  const done = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  return done.status === 0 ? ok(undefined) : fail(done.stderr);
}
