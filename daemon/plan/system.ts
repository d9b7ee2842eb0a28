/** Which paths belong to the system, to a user, or to nobody: what is never a root of a project. */
import { isWithin } from './files.ts';

/** What packages install into: a worker has its own, compared by package. */
const systemFolders = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc'];

/** Folders of programs and data that are the worker's own, or are made afresh for each job. */
const neverCarried = ['/proc', '/sys', '/dev', '/run', '/boot'];

/** Folders that hold many unrelated things; what is below them may be a project. */
const shared = new Set([
  '/',
  '/home',
  '/root',
  '/tmp',
  '/var',
  '/var/tmp',
  '/opt',
  '/srv',
  '/mnt',
  '/media',
  '/usr/src',
  '/usr/local/src',
]);

/** Below these a user keeps sources, though they are the system's. */
const sourceFolders = ['/usr/src', '/usr/local/src'];

/** Whether a path belongs to the system and is there on a worker with the same packages. */
export function isSystem(path: string): boolean {
  if (sourceFolders.some((folder) => path !== folder && isWithin(path, folder))) return false;
  return systemFolders.some((folder) => isWithin(path, folder));
}

/** Whether a path lives in the kernel or in this session alone. */
export function isVirtual(path: string): boolean {
  return neverCarried.some((folder) => isWithin(path, folder));
}

/** Why a folder is no root, or undefined when it may be one. `home` is the caller's. */
export function refusedRoot(path: string, home: string | undefined): string | undefined {
  if (path === '/') return 'a root would be / itself';
  if (home !== undefined && home !== '/' && isWithin(home, path))
    return path === home
      ? 'a root would be the home folder itself'
      : `a root would be ${path}, which holds the home folder`;
  if (shared.has(path)) return `a root would be ${path}, which holds many unrelated things`;
  if (isSystem(path)) return `a root would be ${path}, which belongs to the system`;
  if (isVirtual(path)) return `a root would be ${path}, which exists on this machine alone`;
  if (/^\/(home|mnt|media)\/[^/]+$/.test(path) && path.startsWith('/home/'))
    return `a root would be ${path}, which is a home folder`;
  return undefined;
}

/**
 * The folders to hide on a worker, so that nothing of its own users is seen: homes, temporary folders, and the
 * top folders that the roots stand in.
 */
export function hiddenFolders(roots: readonly string[], home: string | undefined): string[] {
  const hidden = new Set(['/home', '/root', '/tmp', '/var/tmp']);
  if (home?.startsWith('/') === true && home !== '/' && !isSystem(home)) hidden.add(home);
  for (const root of roots) {
    const top = `/${root.split('/')[1] ?? ''}`;
    if (!isSystem(top) && top !== '/' && top !== '/var' && top !== '/opt') hidden.add(top);
  }
  const all = [...hidden].sort();
  return all.filter((path) => !all.some((other) => other !== path && isWithin(path, other)));
}
