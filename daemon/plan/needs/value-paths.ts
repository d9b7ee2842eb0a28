/** Paths in the values of variables and in flags. Pure. */
import { posix } from 'node:path';

/** A flag that a path is joined to (`-I../x`, `--sysroot=/x`) is no part of it. */
const flag = /^-[\w-]*=?(?=\/|\.\.\/)/;

/** Absolute paths that a value may mean where programs work in, or are compiled from, `bases`. */
export function pathsIn(value: string, bases: readonly string[]): string[] {
  const words = [value, ...value.split(/[:;,=\s]/).map((word) => word.replace(flag, ''))];
  return [...new Set(words)].flatMap((word) => {
    if (/^\/[^/]/.test(word)) return [posix.resolve(word)];
    if (!/(^|\/)\.\.(\/|$)/.test(word) || word.startsWith('/')) return [];
    return bases.map((base) => posix.resolve(base, word));
  });
}

/** With what is written, what only stands for a path, and what is a program: no paths that are read. */
const unread = /(?:remap-path-prefix|profile-generate|incremental|linker)[=\s]\S+/g;

/** Flags of rustc and rustdoc, less those whose paths are not read. */
export function readingFlags(flags: string): string {
  return flags.replaceAll(unread, '');
}
