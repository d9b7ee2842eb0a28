/** What a job sees where: the mounts of its sandbox, in the order to make them. Pure. */
import { basename, dirname } from 'node:path';
import { MountFlag } from '../protocol/run.ts';
import { isBelow } from './caches.ts';

/** Paths as latin1-decoded bytes. */
export type Mount = { readonly source: string; readonly target: string; readonly flags: number };

export type MountWish = {
  readonly roots: readonly {
    readonly source: string;
    readonly path: string;
    readonly readOnly: boolean;
  }[];
  /** Mounts made for this job alone. */
  readonly more?: readonly Mount[];
  /** The job's own /tmp and the like. */
  readonly temporaries: readonly Mount[];
  /** The links to the real tools, and where the caller has its shims; empty when it has none. */
  readonly shims: string;
  readonly shimDir: string;
};

function depth(path: string): number {
  return path.split('/').length;
}

/** Outermost first, so that nothing covers what lies in it. */
export function planMounts(wish: MountWish): Mount[] {
  const mounts: Mount[] = [...(wish.more ?? []), ...wish.temporaries];
  for (const root of wish.roots)
    mounts.push({
      source: root.source,
      target: root.path,
      flags: root.readOnly ? MountFlag.readOnly : 0,
    });
  if (wish.shimDir !== '')
    mounts.push({ source: wish.shims, target: wish.shimDir, flags: MountFlag.readOnly });
  return mounts.sort((a, b) => depth(a.target) - depth(b.target));
}

/** What is at a path of the worker: undefined when there is nothing. */
export type Look = {
  readonly exists: (path: string) => boolean;
  /** Names in a folder, with the target of each that is a symlink. */
  readonly list: (
    path: string,
  ) => readonly { readonly name: string; readonly link: string | undefined }[];
};

/** Top-level names that a sandbox makes itself. */
const OWN = new Set(['proc', 'dev', 'tmp', 'run']);

/**
 * The folders of the worker that lack something on the way to a target: each is covered by an empty one in which
 * what it holds is bound back (an unprivileged user cannot make /home/alice in the worker's own /home).
 */
export function splitFolders(targets: readonly string[], look: Look): string[] {
  const split = new Set<string>();
  for (const target of targets) {
    if (look.exists(target)) continue;
    let folder = dirname(target);
    while (folder !== '/' && !look.exists(folder)) folder = dirname(folder);
    if (folder !== '/') split.add(folder);
  }
  return [...split].sort((a, b) => depth(a) - depth(b));
}

export type BubblewrapWish = {
  readonly program: string;
  readonly mounts: readonly Mount[];
  readonly hide: readonly string[];
  /** Files that stand in place of the worker's. */
  readonly files: readonly { readonly source: string; readonly path: string }[];
  /** The host name the job sees; empty for the worker's. */
  readonly host: string;
  readonly uid: number;
  readonly gid: number;
  readonly network: boolean;
  /** `rch-run` on the worker; it is seen at /.rch/rch-run. */
  readonly runner: string;
};

function bindBack(folder: string, look: Look, without: readonly string[]): string[] {
  const base = folder === '/' ? '' : folder;
  return look.list(folder).flatMap(({ name, link }) => {
    if (folder === '/' && OWN.has(name)) return [];
    const path = `${base}/${name}`;
    if (without.includes(path)) return [];
    return link === undefined ? ['--ro-bind-try', path, path] : ['--symlink', link, path];
  });
}

function isLink(path: string, look: Look): boolean {
  const folder = dirname(path);
  const inside = look.exists(folder) ? look.list(folder) : [];
  return inside.some(({ name, link }) => name === basename(path) && link !== undefined);
}

/** bwrap(1)'s command line for the same view as `rch-run` makes by itself; `rch-run` then runs in it with method none. */
export function bubblewrapArguments(wish: BubblewrapWish, look: Look): string[] {
  const hidden = wish.hide.filter((folder) => folder !== '/' && look.exists(folder));
  const replaced = wish.files
    .map(({ path }) => path)
    .filter((path) => isLink(path, look) || !look.exists(path));
  const lacking = splitFolders(
    wish.mounts.map((mount) => mount.target),
    look,
  ).filter((folder) => !hidden.some((hide) => folder === hide || folder.startsWith(`${hide}/`)));
  const split = [...new Set([...lacking, ...replaced.map((path) => dirname(path))])];
  const argv = [
    wish.program,
    '--unshare-user',
    '--unshare-pid',
    '--unshare-ipc',
    '--die-with-parent',
  ];
  if (wish.host !== '') argv.push('--unshare-uts', '--hostname', wish.host);
  argv.push('--uid', wish.uid.toString(), '--gid', wish.gid.toString());
  if (!wish.network) argv.push('--unshare-net');
  argv.push(...bindBack('/', look, []), '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/run');
  argv.push('--ro-bind-try', '/run/systemd/resolve', '/run/systemd/resolve', '--dir', '/run/lock');
  for (const folder of split) argv.push('--tmpfs', folder, ...bindBack(folder, look, replaced));
  for (const folder of hidden) argv.push('--tmpfs', folder);
  for (const { source, path } of wish.files) argv.push('--ro-bind', source, path);
  argv.push('--ro-bind', wish.runner, '/.rch/rch-run');
  for (const mount of wish.mounts)
    argv.push(
      (mount.flags & MountFlag.readOnly) === 0 ? '--bind' : '--ro-bind',
      mount.source,
      mount.target,
    );
  // What a tool wrote there would be lost, and nobody told.
  const targets = wish.mounts.map(({ target }) => target);
  for (const folder of [...split, ...hidden])
    if (!targets.some((target) => isBelow(folder, target))) argv.push('--remount-ro', folder);
  argv.push('--chdir', '/', '--', '/.rch/rch-run');
  return argv;
}
