/** Looking at the file system by raw paths (latin1, one char a byte), without ever throwing or changing anything. */
import {
  accessSync,
  constants,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  lstatSync,
  readlinkSync,
} from 'node:fs';
import { posix } from 'node:path';

/** The bytes of a raw path, as node:fs takes them. */
export function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** The raw path that text means. */
export function rawOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Making an Error costs more than the look itself. */
const quiet = { throwIfNoEntry: false } as const;

function tried<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

export function isFolder(path: string): boolean {
  return tried(() => statSync(bytesOf(path), quiet)?.isDirectory()) ?? false;
}

export function isFile(path: string): boolean {
  return tried(() => statSync(bytesOf(path), quiet)?.isFile()) ?? false;
}

export function exists(path: string): boolean {
  return tried(() => lstatSync(bytesOf(path), quiet)) !== undefined;
}

/** A FIFO, a socket or a device: looking into it may never end, and takes what is in it. */
export function isSpecial(path: string): boolean {
  const stat = tried(() => statSync(bytesOf(path), quiet));
  return stat !== undefined && !stat.isFile() && !stat.isDirectory();
}

/** False on a read-only mount too, also for root. */
export function isWritable(path: string): boolean {
  return tried(() => (accessSync(bytesOf(path), constants.W_OK), true)) ?? false;
}

export function isSymlink(path: string): boolean {
  return tried(() => lstatSync(bytesOf(path), quiet)?.isSymbolicLink()) ?? false;
}

/** Bytes, 0 when it is not there. */
export function sizeOf(path: string): number {
  return tried(() => statSync(bytesOf(path), quiet)?.size) ?? 0;
}

/** A file's content as raw text; undefined when it is no file, cannot be read or is longer than `most` bytes. */
export function readRaw(path: string, most = 16 << 20): string | undefined {
  return tried(() => {
    const stat = statSync(bytesOf(path), quiet);
    if (stat?.isFile() !== true || stat.size > most) return undefined;
    return readFileSync(bytesOf(path)).toString('latin1');
  });
}

export function realPath(path: string): string | undefined {
  return tried(() => realpathSync(bytesOf(path), { encoding: 'buffer' }).toString('latin1'));
}

export function linkTarget(path: string): string | undefined {
  return tried(() => readlinkSync(bytesOf(path), { encoding: 'buffer' }).toString('latin1'));
}

/** Links that open(2) follows before it gives up: path_resolution(7). */
const MOST_LINKS = 40;

/** The path at which a file is made that is opened by this one: a symlink leads on also where nothing is yet. */
export function destination(path: string): string {
  let at = path;
  for (let links = 0; links <= MOST_LINKS; links += 1) {
    const folder = realPath(posix.dirname(at)) ?? posix.dirname(at);
    at = posix.join(folder, posix.basename(at));
    const target = linkTarget(at);
    if (target === undefined) return at;
    at = posix.resolve(folder, target);
  }
  return at;
}

/** Paths of the symlinks in a folder; none when it cannot be read. */
export function linksIn(path: string): string[] {
  const all = tried(() => readdirSync(bytesOf(path), { encoding: 'buffer', withFileTypes: true }));
  return (all ?? [])
    .filter((each) => each.isSymbolicLink())
    .map((each) => `${path}/${each.name.toString('latin1')}`);
}

/** Names in a folder, sorted; empty when it cannot be read. */
export function namesIn(path: string): string[] {
  const names = tried(() => readdirSync(bytesOf(path), { encoding: 'buffer' }));
  return (names ?? []).map((name) => name.toString('latin1')).sort();
}

/** Identity and times of what is at a path, '-' when nothing is: equal stamps mean nothing changed. */
export function stampOf(path: string): string {
  const stat = tried(() => statSync(bytesOf(path), { bigint: true, throwIfNoEntry: false }));
  if (stat === undefined) return '-';
  return `${stat.dev}.${stat.ino}.${stat.size}.${stat.mtimeNs}.${stat.ctimeNs}.${stat.mode}`;
}

/**
 * Which folder is at `path`, and which files, folders and links (with their targets) it has besides one; equal while
 * neither changes. Of what is no folder that can be read, its stamp.
 */
export function namesOf(path: string, besides: string): string {
  const stat = tried(() => statSync(bytesOf(path), { bigint: true, throwIfNoEntry: false }));
  if (stat?.isDirectory() !== true) return stampOf(path);
  const entries = tried(() =>
    readdirSync(bytesOf(path), { encoding: 'buffer', withFileTypes: true }),
  );
  if (entries === undefined) return stampOf(path);
  const others = entries
    .map((each) => ({ name: each.name.toString('latin1'), each }))
    .filter(({ name }) => name !== besides)
    .map(({ name, each }) => {
      if (each.isSymbolicLink()) return `${name}@${linkTarget(`${path}/${name}`) ?? ''}`;
      return each.isDirectory() ? `${name}/` : name;
    })
    .sort();
  return `${stat.dev}.${stat.ino}.${stat.mode}\0${others.join('\0')}`;
}

/** Whether `path` is `folder` or below it; both absolute and normal. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || folder === '/' || path.startsWith(`${folder}/`);
}

/** Absolute and normal, without a slash at the end. */
export function absolute(path: string, from: string): string {
  return posix.resolve(from, path);
}

/** The folders above a path, nearest first, itself included. */
export function upwards(path: string): string[] {
  const found: string[] = [];
  for (let at = path; ; at = posix.dirname(at)) {
    found.push(at);
    if (at === '/') return found;
  }
}
