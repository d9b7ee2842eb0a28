/**
 * Keeps what the agent holds below its bound: contents nobody needs go first, then trees unused the longest, then
 * results that nobody fetched.
 */
import type { Contents } from './contents.ts';
import type { Kept } from './kept.ts';
import type { Root } from './root.ts';
import type { Roots } from './roots.ts';
import type { Store } from '../tree/store.ts';

/** A tree used so recently is left alone unless somebody asked for room, ms. */
const RECENT = 10 * 60 * 1000;
/** Results are the only copy there is: they are safe for so long unless somebody asked for room, ms. */
const KEPT_SAFE = 24 * 3600 * 1000;

/** Bytes: freed of each kind, and held of all in the end. */
export type Collected = {
  readonly contents: number;
  readonly trees: number;
  readonly results: number;
  readonly held: number;
};

export type CollectNeeds = {
  readonly store: Store;
  readonly contents: Contents;
  readonly roots: Roots;
  readonly kept: Kept;
};

function bytesOf(roots: readonly Root[]): number {
  return roots.reduce((sum, root) => sum + root.bytes, 0);
}

/** What store, trees and kept results hold together, bytes. */
export function heldBytes(needs: CollectNeeds): number {
  return needs.store.bytes + bytesOf(needs.roots.all) + needs.kept.bytes;
}

/** Shrinks to `limit` bytes as far as nobody uses what there is. `asked`: also what was used just now may go. */
export async function collect(
  limit: number,
  asked: boolean,
  needs: CollectNeeds,
): Promise<Collected> {
  const { store, roots, kept } = needs;
  const before = { contents: store.bytes, trees: bytesOf(roots.all), results: kept.bytes };
  const rest = before.trees + before.results;
  await store.collect(Math.max(0, limit - rest), needs.contents.pinned);
  const oldest = roots.all.sort((a, b) => a.lastUse - b.lastUse);
  for (const root of oldest) {
    if (heldBytes(needs) <= limit) break;
    if (!root.turns.idle || root.standsAtPath) continue;
    if (!asked && Date.now() - root.lastUse < RECENT) continue;
    await roots.remove(root);
  }
  for (const hex of kept.removable(asked ? Date.now() : Date.now() - KEPT_SAFE)) {
    if (heldBytes(needs) <= limit) break;
    await kept.remove(hex);
  }
  return {
    contents: Math.max(0, before.contents - store.bytes),
    trees: Math.max(0, before.trees - bytesOf(roots.all)),
    results: Math.max(0, before.results - kept.bytes),
    held: heldBytes(needs),
  };
}
