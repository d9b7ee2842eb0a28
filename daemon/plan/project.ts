/** Where a project begins: its version control's root, else its build files. */
import { posix } from 'node:path';
import { absolute, exists, isFolder, isWithin, namesIn, readRaw, upwards } from './files.ts';
import { refusedRoot } from './system.ts';

const versionControl = ['.git', '.hg', '.jj'];

const buildFiles = new Set([
  'Cargo.toml',
  'Cargo.lock',
  'Makefile',
  'makefile',
  'GNUmakefile',
  'CMakeLists.txt',
  'CMakeCache.txt',
  'meson.build',
  'build.ninja',
  'configure',
  'configure.ac',
  'Kbuild',
]);

/** The folder that a `.git` file (worktree, submodule) points to; undefined for a real `.git` folder or none. */
export function gitFolderOf(root: string): string | undefined {
  const file = `${root}/.git`;
  if (isFolder(file)) return undefined;
  const target = /^gitdir: (.+)\s*$/m.exec(readRaw(file, 1 << 16) ?? '')?.[1]?.trim();
  return target === undefined ? undefined : absolute(target, root);
}

/** The folder that a worktree's git folder shares with the main one (gitrepository-layout(5)). */
export function commonFolderOf(gitFolder: string): string | undefined {
  const common = readRaw(`${gitFolder}/commondir`, 1 << 16)?.trim();
  return common === undefined || common === '' ? undefined : absolute(common, gitFolder);
}

/** The version control's root above a folder. A submodule belongs to the project around it. */
export function versionRootOf(folder: string): string | undefined {
  const above = upwards(folder);
  const nearest = above.find((each) => versionControl.some((name) => exists(`${each}/${name}`)));
  if (nearest === undefined) return undefined;
  const target = gitFolderOf(nearest);
  const around = target?.indexOf('/.git/modules/') ?? -1;
  if (target !== undefined && around > 0 && isWithin(nearest, target.slice(0, around)))
    return target.slice(0, around);
  return nearest;
}

function hasBuildFiles(folder: string): boolean {
  return namesIn(folder).some((name) => buildFiles.has(name));
}

/** Folders without build files (src, include) between a folder and the build files it belongs to. */
const MOST_BETWEEN = 3;

/** The topmost of the folders above that hold build files without a gap, beginning with the nearest that does. */
function builtFrom(folder: string, home: string | undefined): string | undefined {
  let top: string | undefined;
  for (const [distance, each] of upwards(folder).entries()) {
    if (refusedRoot(each, home) !== undefined) break;
    if (hasBuildFiles(each)) top = each;
    else if (top !== undefined || distance >= MOST_BETWEEN) break;
  }
  return top;
}

/**
 * The include or lib folder that a path lies in, where it is of something installed (a Python of pyenv's, a prefix in
 * a home folder): beside a bin, and without build files. What is installed does not reach outside it.
 */
export function installedPart(folder: string): string | undefined {
  const match = /^(\/.+?)\/(include|lib|lib64)(?=\/|$)/.exec(folder);
  const prefix = match?.[1];
  if (prefix === undefined || match?.[2] === undefined || hasBuildFiles(prefix)) return undefined;
  const whole = ['bin', 'include', 'lib'].every((name) => isFolder(`${prefix}/${name}`));
  return whole && versionRootOf(prefix) !== prefix ? match[0] : undefined;
}

export type Project = { readonly root: string } | { readonly refused: string };

/**
 * The root of the project around a folder: version control's root (so that path dependencies and `git describe`
 * answer there as here), else the topmost folder with build files, else the folder itself; never one that is
 * refused. `least` is a folder that must be inside (a cargo workspace); by default the folder itself.
 */
export function projectOf(folder: string, home: string | undefined, least = folder): Project {
  const version = versionRootOf(least);
  if (version !== undefined && refusedRoot(version, home) === undefined) return { root: version };
  const built = builtFrom(least, home);
  if (built !== undefined && isWithin(least, built)) return { root: built };
  const refused = refusedRoot(least, home);
  return refused === undefined ? { root: least } : { refused };
}

/** Folders outside a root that its version control needs: a worktree's git folder and the main one. */
export function versionFolders(root: string): string[] {
  const target = gitFolderOf(root);
  if (target === undefined || isWithin(target, root)) return [];
  const common = commonFolderOf(target);
  const main = common !== undefined && isWithin(target, common) ? common : undefined;
  const all = main === undefined ? [target, ...(common === undefined ? [] : [common])] : [main];
  return all.filter((each) => isFolder(each) && posix.isAbsolute(each));
}
