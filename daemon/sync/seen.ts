/**
 * Files and folders that changed just before a scan, as it saw them: by its times alone such a change cannot be told from one just
 * after it, since the clock of files is coarse. Whoever takes a job up from another process needs to.
 */
import type { Entry, Hash, Manifest, RawPath } from '../../src/tree/manifest.ts';
import type { Snapshot } from '../../src/tree/tree.ts';

/** A ctime may lag so far behind the clock that a scan reads (one tick of the kernel's coarse clock), ns. */
export const COARSE_CLOCK = 10_000_000n;
/** Of more the times alone are gone by. */
const MOST = 1000;

/** By path; the hash of a folder is empty. */
export type Seen = ReadonlyMap<RawPath, { readonly mtime: bigint; readonly hash: Hash }>;

const hashOf = (entry: Entry): Hash => (entry.kind === 'file' ? entry.hash : '');

/** Those of a snapshot; looks through it only where something changed at all so late. */
export function seenIn({
  manifest,
  scanTime,
  newest,
}: Pick<Snapshot, 'scanTime' | 'newest'> & { readonly manifest: Manifest }): Seen {
  const since = scanTime - COARSE_CLOCK;
  const seen = new Map<RawPath, { mtime: bigint; hash: Hash }>();
  if (newest < since) return seen;
  for (const [path, entry] of manifest) {
    if ((entry.kind !== 'file' && entry.kind !== 'dir') || entry.mtime < since) continue;
    if (seen.size === MOST) return new Map();
    seen.set(path, { mtime: entry.mtime, hash: hashOf(entry) });
  }
  return seen;
}

/** Whether an entry is as the scan saw it. */
export function wasSeen(seen: Seen, path: RawPath, entry: Entry): boolean {
  if (entry.kind === 'hardlink') return false;
  const known = seen.get(path);
  return known?.mtime === entry.mtime && known.hash === hashOf(entry);
}
