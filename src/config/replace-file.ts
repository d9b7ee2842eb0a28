/** Replaces a file at once, so that whoever reads it sees the old text or the new one. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fail, messageOf, ok, type Result } from '../base/result.ts';

/** Reads the file; a missing one is empty. */
export function readText(file: string): Result<string> {
  try {
    return ok(existsSync(file) ? readFileSync(file, 'utf8') : '');
  } catch (thrown) {
    return fail(`${file} cannot be read: ${messageOf(thrown)}`);
  }
}

/** Makes a folder and those above it. Node's own `recursive` never comes back from a folder below /proc. */
function makeFolder(folder: string, mode: number): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder), mode);
  mkdirSync(folder, { mode });
}

/**
 * Replaces the file, or what a link leads to. `mode` is that of a new file; with `always`, of any. Folders on the way
 * are made, for the user alone where the file is.
 */
export function replaceFile(
  file: string,
  text: string,
  { mode, always = false }: { readonly mode: number; readonly always?: boolean },
): Result<undefined> {
  try {
    makeFolder(dirname(file), (mode & 0o044) === 0 ? 0o700 : 0o755);
    const there = existsSync(file);
    const real = there ? realpathSync(file) : file;
    const kept = there && !always ? statSync(real).mode & 0o777 : mode;
    const fresh = `${real}.new-${process.pid}`;
    writeFileSync(fresh, text, { mode: kept });
    chmodSync(fresh, kept);
    renameSync(fresh, real);
    return ok(undefined);
  } catch (thrown) {
    return fail(`${file} cannot be written: ${messageOf(thrown)}`, `ls -ld ${dirname(file)}`);
  }
}
