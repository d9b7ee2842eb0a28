/** The difference between two manifests, and a manifest after it: pure, nothing here touches a disk. */
import { fail, ok, type Result } from '../base/result.ts';
import { never } from '../base/result.ts';
import type { Change, Entry, Manifest, RawPath } from './manifest.ts';
import { parentOf, shown } from './paths.ts';

/** True when both stand for the same thing; the content of a hardlink is that of its file. */
export function sameEntry(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  switch (a.kind) {
    case 'file':
      return (
        b.kind === 'file' &&
        a.hash === b.hash &&
        a.mtime === b.mtime &&
        a.mode === b.mode &&
        a.size === b.size
      );
    case 'symlink':
      return b.kind === 'symlink' && a.target === b.target && a.mtime === b.mtime;
    case 'dir':
      return b.kind === 'dir' && a.mode === b.mode && a.mtime === b.mtime;
    case 'hardlink':
      return b.kind === 'hardlink' && a.to === b.to;
    default:
      return never(a);
  }
}

/** Byte order of raw paths. */
export function byPath(a: RawPath, b: RawPath): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const rank = (change: Change): number =>
  change.op === 'gone' ? 0 : change.entry.kind === 'hardlink' ? 2 : 1;

/** Sorts in place into the order in which changes can be made: removals deepest first, then parents first, hard links last. */
export function orderChanges(changes: Change[]): Change[] {
  return changes.sort((a, b) => {
    const ranks = rank(a) - rank(b);
    if (ranks !== 0) return ranks;
    return a.op === 'gone' ? byPath(b.path, a.path) : byPath(a.path, b.path);
  });
}

/**
 * What turns `from` into `to`, in the order of orderChanges. No path comes twice: a change of type is one put.
 * A hard link whose file is put is put again, because a file is replaced by a new inode.
 */
export function diff(from: Manifest, to: Manifest): Change[] {
  const changes: Change[] = [];
  for (const path of from.keys()) if (!to.has(path)) changes.push({ op: 'gone', path });
  for (const [path, entry] of to) {
    const same =
      sameEntry(from.get(path), entry) &&
      (entry.kind !== 'hardlink' || sameEntry(from.get(entry.to), to.get(entry.to)));
    if (!same) changes.push({ op: 'put', path, entry });
  }
  return orderChanges(changes);
}

/** `manifest` after `changes`; the given one stays as it is. */
export function applyChanges(manifest: Manifest, changes: Iterable<Change>): Manifest {
  const after: Manifest = new Map(manifest);
  for (const change of changes) {
    if (change.op === 'gone') after.delete(change.path);
    else after.set(change.path, change.entry);
  }
  return after;
}

/** Checks that a manifest can exist: every parent is a folder in it, every hard link names a file that sorts before it. */
export function checkManifest(manifest: Manifest): Result<void> {
  for (const [path, entry] of manifest) {
    const parent = parentOf(path);
    if (parent === undefined) {
      if (entry.kind !== 'dir') return fail('the root is not a folder');
    } else if (manifest.get(parent)?.kind !== 'dir') {
      return fail(`${shown(path)} lies in what is not a folder`);
    }
    if (entry.kind !== 'hardlink') continue;
    if (entry.to >= path || manifest.get(entry.to)?.kind !== 'file')
      return fail(`${shown(path)} is a hard link to what is not a file before it`);
  }
  return ok(undefined);
}

/** What a name stands for: of a file with several, the file. */
export function beneath(manifest: Manifest, path: RawPath): Entry | undefined {
  const entry = manifest.get(path);
  return entry?.kind === 'hardlink' ? manifest.get(entry.to) : entry;
}
