/** Which tools are on PATH and what they say of themselves. */
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ToolFacts } from '../protocol/facts.ts';
import { ask, firstLine } from './answer.ts';

/** GCC's and Clang's drivers, with a target prefix or a version suffix. */
const compiler = /^(?:.+-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(?:-\d+(?:\.\d+)*)?$/;

export function isCompiler(name: string): boolean {
  return compiler.test(name);
}

export type ToolSearch = {
  readonly path: string;
  /** Folders of PATH that are not looked at: rch's own shims. */
  readonly skip: readonly string[];
};

type Found = { readonly path: string; readonly identity: string };

/** What the file of a program is known by; undefined when there is none that may be executed. */
function identityOf(path: string): string | undefined {
  try {
    const info = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (info?.isFile() !== true) return undefined;
    accessSync(path, constants.X_OK);
    return [info.dev, info.ino, info.mtimeNs, info.size].join(' ');
  } catch {
    return undefined;
  }
}

/**
 * The first file named `name` on PATH that may be executed; relative folders of PATH are not looked at. Not in threads:
 * that takes ten times as long as these calls.
 */
export function findTool(name: string, search: ToolSearch): Found | undefined {
  if (name === '' || name.includes('/') || name.includes('\0')) return undefined;
  for (const folder of search.path.split(':')) {
    if (!folder.startsWith('/') || search.skip.includes(folder.replace(/(?!^)\/+$/, ''))) continue;
    const path = join(folder, name);
    const identity = identityOf(path);
    if (identity !== undefined) return { path, identity };
  }
  return undefined;
}

async function askTool(name: string, found: Found, search: ToolSearch): Promise<ToolFacts> {
  const options = { path: search.path };
  const answer = await ask([found.path, '--version'], options);
  const line = answer === undefined ? '' : firstLine(answer.stdout) || firstLine(answer.stderr);
  if (!isCompiler(name)) return { name, path: found.path, version: line, target: '' };
  const [full, target] = await Promise.all([
    // Both, because Clang and old GCC know -dumpversion alone, whose GCC answer is the major number since 7.
    ask([found.path, '-dumpfullversion', '-dumpversion'], options),
    ask([found.path, '-dumpmachine'], options),
  ]);
  const dumped = full?.exit === 0 ? firstLine(full.stdout) : '';
  return {
    name,
    path: found.path,
    version: dumped === '' ? line : `${line} [${dumped}]`,
    target: target?.exit === 0 ? firstLine(target.stdout) : '',
  };
}

/** Asks each tool once, as long as the file stays the same. */
export class ToolBox {
  readonly #known = new Map<string, { readonly identity: string; readonly facts: ToolFacts }>();

  /** The tools that are there, in the order of `names`. */
  async take(names: readonly string[], search: ToolSearch): Promise<ToolFacts[]> {
    const taken: ToolFacts[] = [];
    for (const name of new Set(names)) {
      const found = findTool(name, search);
      if (found === undefined) continue;
      const key = `${name}\0${found.path}`;
      const known = this.#known.get(key);
      if (known?.identity === found.identity) {
        taken.push(known.facts);
        continue;
      }
      const facts = await askTool(name, found, search);
      // A tool that could not answer (an overloaded machine) is asked again the next time.
      if (facts.version !== '') this.#known.set(key, { identity: found.identity, facts });
      taken.push(facts);
    }
    return taken;
  }
}
