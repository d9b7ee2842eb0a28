/**
 * Folders that are a pure cache of a tool (cargo's incremental): they stay on the worker, the link knows nothing of
 * what is in them, and so no sync removes it unless the folder around it goes.
 */
import { fail, ok, type Result } from '../base/result.ts';
import type { FsHelper } from '../tree/fs-helper.ts';
import type { Change, Manifest, RawPath } from '../tree/manifest.ts';
import { parentOf, shown } from '../tree/paths.ts';

/** Whether `path` is `folder` or lies below it. */
export function isBelow(path: RawPath, folder: RawPath): boolean {
  return path === folder || folder === '' || path.startsWith(`${folder}/`);
}

/** Those of `paths` that lie below `folder`, relative to it. */
export function within(folder: RawPath, paths: readonly RawPath[]): RawPath[] {
  return paths
    .filter((path) => path !== folder && isBelow(path, folder))
    .map((path) => path.slice(folder.length + 1));
}

export function isBelowAny(path: RawPath, folders: readonly RawPath[]): boolean {
  return folders.some((folder) => isBelow(path, folder));
}

/** The caches that outlive a sync to `wanted`: the folder around them stays, and nobody sends anything into them. */
export function keptCaches(wanted: Manifest, caches: readonly RawPath[]): RawPath[] {
  const sent = new Set<RawPath>();
  for (const path of wanted.keys())
    for (const folder of caches) if (path !== folder && isBelow(path, folder)) sent.add(folder);
  return caches.filter((folder) => {
    const parent = parentOf(folder);
    if (parent === undefined || sent.has(folder)) return false;
    const own = wanted.get(folder);
    return wanted.get(parent)?.kind === 'dir' && (own === undefined || own.kind === 'dir');
  });
}

/** The caches that these changes remove, because they remove a folder around them or put something else there. */
export function endedCaches(changes: readonly Change[], caches: readonly RawPath[]): RawPath[] {
  return caches.filter((folder) =>
    changes.some(
      (change) =>
        isBelow(folder, change.path) && (change.op === 'gone' || change.entry.kind !== 'dir'),
    ),
  );
}

/** Removals of all that stands at and below the folders of the tree at `root`, deepest first. */
export async function removalOf(
  root: Buffer,
  folders: readonly RawPath[],
  helper: FsHelper,
): Promise<Result<Change[]>> {
  if (folders.length === 0) return ok([]);
  const number = helper.newTree();
  const scan = await helper.scan(number, root, { only: folders });
  helper.forget(number);
  if (!scan.ok) return scan;
  const closed = scan.value.records.find(({ kind }) => kind === 'unreadable');
  if (closed !== undefined) return fail(`${shown(closed.path)} cannot be read`);
  const paths = scan.value.records
    .map(({ path }) => path)
    .filter((path) => isBelowAny(path, folders));
  return ok(paths.sort((a, b) => (a < b ? 1 : -1)).map((path) => ({ op: 'gone', path })));
}
