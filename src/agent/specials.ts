/**
 * FIFOs and sockets in a tree. No manifest knows of them: what a run made is told with its end, and none stays, so that the
 * tree is what was agreed.
 */
import { MOST_SPECIALS, type Special } from '../protocol/jobs.ts';
import type { FsHelper } from '../tree/fs-helper.ts';
import type { RawPath } from '../tree/manifest.ts';
import type { Snapshot } from '../tree/tree.ts';

type Found = { readonly path: RawPath; readonly kind: Special['kind'] };

function specialsIn(refused: Snapshot['refused']): Found[] {
  return refused.flatMap(({ path, what }) =>
    what === 'fifo' || what === 'socket' ? [{ path, kind: what }] : [],
  );
}

/** Removes those that a scan of the tree at `root` found. */
export async function removeSpecials(
  helper: FsHelper,
  root: Buffer,
  refused: Snapshot['refused'],
): Promise<void> {
  const found = specialsIn(refused);
  if (found.length === 0) return;
  await helper.apply(
    root,
    found.map(({ path }) => ({ op: 'remove', path, guard: 'none' })),
  );
}

/** Of those that a scan found, the ones made since `since`, ns; `mtime` as it is on the machine's clock. */
export async function specialsSince(
  since: bigint,
  refused: Snapshot['refused'],
  of: { readonly helper: FsHelper; readonly root: Buffer },
): Promise<(Omit<Special, 'root' | 'mtime'> & { readonly mtime: bigint })[]> {
  const found = specialsIn(refused);
  if (found.length === 0) return [];
  const stats = await of.helper.apply(
    of.root,
    found.map(({ path }) => ({ op: 'stat', path })),
  );
  const results = stats.ok ? stats.value : [];
  return found
    .flatMap((each, i) => {
      const now = results[i]?.outcome === 'done' ? results[i].identity : undefined;
      if (now === undefined || now.ctime < since) return [];
      return [{ ...each, mode: now.mode, mtime: now.mtime }];
    })
    .slice(0, MOST_SPECIALS);
}
