/** What a path inside a root may look like: nothing else is ever taken from the other side of a connection. */
import type { RawPath } from './manifest.ts';

/** The longest path relative to its root, in bytes. */
export const MAX_PATH = 4096;
/** The longest name on every Linux file system (NAME_MAX of limits.h), in bytes. */
export const MAX_NAME = 255;
/** Linux's PATH_MAX without its NUL: the longest target symlink(2) takes. */
export const MAX_TARGET = 4095;
/** Our own temporary files beside their targets; no scan lists them and no peer may name them. */
export const TEMP_PREFIX = '.rch-tmp-';

const badPart = /(?:^|\/)\.{0,2}(?:\/|$)/;
const longPart = /[^/]{256}/;
const tempPart = /(?:^|\/)\.rch-tmp-/;

/** Why `path` is not a path below a root, or undefined when it is one. The root itself ('') is not below it. */
export function pathFault(path: RawPath): string | undefined {
  if (path.length === 0) return 'is empty';
  if (path.length > MAX_PATH) return `is longer than ${MAX_PATH} bytes`;
  if (path.includes('\0')) return 'holds a NUL';
  if (path.startsWith('/')) return 'is absolute';
  if (badPart.test(path)) return 'has an empty, `.` or `..` part';
  if (longPart.test(path)) return `has a part longer than ${MAX_NAME} bytes`;
  if (tempPart.test(path)) return `has a part that begins with ${TEMP_PREFIX}`;
  return undefined;
}

/** Why `target` is not what a symlink can hold, or undefined. It is kept verbatim and never followed. */
export function targetFault(target: RawPath): string | undefined {
  if (target.length === 0) return 'is empty';
  if (target.length > MAX_TARGET) return `is longer than ${MAX_TARGET} bytes`;
  if (target.includes('\0')) return 'holds a NUL';
  return undefined;
}

/** The folder that holds `path` ('' for what is at the top); undefined for the root itself. */
export function parentOf(path: RawPath): RawPath | undefined {
  if (path === '') return undefined;
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** A path and the folders around it, up to the root (''). */
export function* upwards(path: RawPath): Generator<RawPath> {
  for (let at: RawPath | undefined = path; at !== undefined; at = parentOf(at)) yield at;
}

/** The absolute path of `path` below `root`. */
export function absolute(root: Buffer, path: RawPath): Buffer {
  if (path === '') return root;
  return Buffer.concat([root, Buffer.from(`/${path}`, 'latin1')]);
}

/** A path for people to read: UTF-8 where it is, other bytes and control characters as \xNN. */
export function shown(path: RawPath): string {
  const text = Buffer.from(path, 'latin1').toString('utf8');
  const readable = text.includes('\ufffd') ? path : text;
  const limit = text.includes('\ufffd') ? 0x7f : Number.POSITIVE_INFINITY;
  return Array.from(readable, (c) => {
    const code = c.codePointAt(0) ?? 0;
    return code < 0x20 || code === 0x7f || code > limit
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : c;
  }).join('');
}
