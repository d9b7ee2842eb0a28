/** Folders that stand before the shims on PATH and have tools of the same names: whose they are, and what to do. */
import { dirname } from 'node:path';
import type { ShimRow } from './tools.ts';

export type InFront = {
  readonly folder: string;
  /** The program that put it there, as far as its place tells; else empty. */
  readonly by: string;
  /** The tools that are found there and not through their shims. */
  readonly tools: readonly string[];
  readonly next: string;
};

/** By a part of the folder's path: who puts it before all others, and when. */
const known: readonly { readonly by: string; readonly part: RegExp; readonly next: string }[] = [
  {
    by: 'mise',
    part: /\/mise\/(shims|installs)(\/|$)/,
    next: 'have `mise activate` (or its shims) above the lines of rch in the profile',
  },
  {
    by: 'asdf',
    part: /\/\.?asdf\/(shims|installs)(\/|$)/,
    next: 'have the lines of asdf above those of rch in the profile',
  },
  {
    by: 'pyenv',
    part: /\/\.?pyenv\/(shims|versions)(\/|$)/,
    next: 'have the lines of pyenv above those of rch in the profile',
  },
  {
    by: 'rustup',
    part: /\/(\.?cargo)\/bin(\/|$)/,
    next: 'have `. "$HOME/.cargo/env"` above the lines of rch in the profile',
  },
];

/** `direnv` is the folder whose .envrc holds now, as DIRENV_DIR says (with a dash before it). */
function nextFor(
  folder: string,
  shims: string,
  direnv: string | undefined,
): Omit<InFront, 'tools'> {
  const found = known.find(({ part }) => part.test(folder));
  if (found !== undefined) return { folder, by: found.by, next: found.next };
  const project = direnv?.replace(/^-/, '');
  if (project !== undefined && project !== '' && folder.startsWith(`${project}/`))
    return { folder, by: 'direnv', next: `end ${project}/.envrc with: PATH_add '${shims}'` };
  return { folder, by: '', next: `export PATH='${shims}':"$PATH"` };
}

/** For rows of links that a PATH with the shims on it does not reach first. */
export function foldersInFront(
  rows: readonly ShimRow[],
  shims: string,
  direnv: string | undefined,
): InFront[] {
  const tools = new Map<string, string[]>();
  for (const { tool, link, real, first_on_path: first } of rows) {
    if (link === null || real === null || first) continue;
    const folder = dirname(real);
    tools.set(folder, [...(tools.get(folder) ?? []), tool]);
  }
  return [...tools].map(([folder, names]) => ({ ...nextFor(folder, shims, direnv), tools: names }));
}
