/** A file of the user's that we change: behind its links, at once, with mode and owner as they are. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

const MOST_LINKS = 16;

/** Where a chain of links ends, whether or not a file is there. */
export function behindLinks(file: string): string {
  let at = file;
  for (let i = 0; i < MOST_LINKS; i++) {
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return at;
    at = resolve(dirname(at), readlinkSync(at));
  }
  throw new Error(`${file}: too many links`);
}

/** How many folders above `file` are missing. */
export function missingAbove(file: string): number {
  const folder = dirname(file);
  return existsSync(folder) ? 0 : 1 + missingAbove(folder);
}

/** Takes away up to `most` empty folders above `file`. */
export function removeAbove(file: string, most: number): void {
  let folder = dirname(file);
  for (let left = most; left > 0; left--) {
    if (readdirSync(folder).length > 0) return;
    rmdirSync(folder);
    folder = dirname(folder);
  }
}

/** Replaces the file, or makes it; `asRead`: whether it still is as it was when `bytes` were made of it. */
export function replaceUserFile(file: string, bytes: string | Buffer, asRead: () => boolean): void {
  const real = behindLinks(file);
  const was = statSync(real, { throwIfNoEntry: false });
  mkdirSync(dirname(real), { recursive: true });
  const fresh = `${real}.rch-${process.pid}`;
  try {
    writeFileSync(fresh, bytes, { flag: 'wx', mode: was === undefined ? 0o644 : 0o600 });
    if (was !== undefined) {
      if (was.uid !== process.getuid?.()) chownSync(fresh, was.uid, was.gid);
      chmodSync(fresh, was.mode & 0o7777);
    }
    if (!asRead()) throw new Error('another program changed it just now');
    renameSync(fresh, real);
  } finally {
    rmSync(fresh, { force: true });
  }
}
