/** Linker scripts that a command names, and what they name outside the project. */
import { posix } from 'node:path';
import { absolute, readRaw } from './files.ts';
import { scriptNames } from './needs/linker-script.ts';
import { leadsOut } from './needs/outward.ts';
import type { Watch } from './stat-cache.ts';

/** Files that may be scripts: of more, no more are read. */
const MOST_SCRIPTS = 100;
const MOST_BYTES = 1 << 20;
const linkable = /\.(o|obj|lo|la|a|so|c|cc|cp|cxx|cpp|c\+\+|C|i|ii|s|S|sx|h|hh|hpp|m|mm)(\.\d+)*$/;
/** Behind -T and behind a variable for a folder as well. */
const scriptName = /(?:-T|(?<=[)}])\/)?([\w.+@%~/][\w.+@%~/-]*\.lds?)\b/g;

/** Whether a file that a linker is given may be a script, by its name. */
export const mayBeScript = (path: string): boolean => !linkable.test(path);

/** The scripts that `text` may name from any of `bases`, whether they are there or not. */
export function scriptsIn(text: string, bases: readonly string[]): string[] {
  if (!text.includes('.ld')) return [];
  const names = new Set([...text.matchAll(scriptName)].map((match) => match[1] ?? ''));
  return [...names].flatMap((name) => bases.map((base) => absolute(name, base)));
}

/** Absolute paths outside `root` that these scripts, and those they include, may name; ld looks for them in `folders`. */
export function pathsOfScripts(
  scripts: readonly string[],
  { folders, root, watch }: { folders: readonly string[]; root: string; watch?: Watch },
): string[] {
  const seen = new Set(scripts);
  const outside = new Set<string>();
  let read = 0;
  for (const script of seen) {
    if ((read += 1) > MOST_SCRIPTS) break;
    watch?.(script);
    const text = readRaw(script, MOST_BYTES);
    if (text === undefined || text.includes('\0')) continue;
    for (const name of scriptNames(text))
      for (const base of [posix.dirname(script), ...folders]) {
        const path = absolute(name, base);
        if (leadsOut(path, root)) outside.add(path);
        if (mayBeScript(path)) seen.add(path);
      }
  }
  return [...outside];
}
