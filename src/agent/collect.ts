/**
 * Keeps what the agent holds below its bound: contents nobody needs go first, then trees unused the longest, then
 * results that nobody fetched.
 */
import type { Contents } from './contents.ts';
import type { Kept } from './kept.ts';
import type { Root } from './root.ts';
import type { Roots } from './roots.ts';
import type { Store } from '../tree/store.ts';
import { LEAST_DISK } from '../facts/machine.ts';

/** ms since their last use for which trees, and since their making for which results, are left alone. */
export type Safe = { readonly trees: number; readonly results: number };

/** Results are the only copy there is. */
export const usually: Safe = { trees: 10 * 60 * 1000, results: 24 * 3600 * 1000 };
/** The disk is so full that nothing starts: a tree comes back with the next command. */
export const pressed: Safe = { ...usually, trees: 0 };
/** Somebody asked for room. */
export const asked: Safe = { trees: 0, results: 0 };

/** Bytes that are kept free on the disk for what comes, as far as what is held can be given up. */
const SPARE = 2 * LEAST_DISK;

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

/** Bytes that may be held: what the workstations allow, and no more than leaves something of the disk. */
export function boundOf(allowed: number, held: number, free: number): number {
  return Math.max(0, Math.min(allowed, held + free - SPARE));
}

/** Shrinks to `limit` bytes as far as nobody uses what there is, and it is not safe. */
export async function collect(limit: number, safe: Safe, needs: CollectNeeds): Promise<Collected> {
  const { store, roots, kept } = needs;
  const before = { contents: store.bytes, trees: bytesOf(roots.all), results: kept.bytes };
  const rest = before.trees + before.results;
  await store.collect(Math.max(0, limit - rest), needs.contents.pinned);
  const oldest = roots.all.sort((a, b) => a.lastUse - b.lastUse);
  for (const root of oldest) {
    if (heldBytes(needs) <= limit) break;
    if (!root.turns.idle || root.standsAtPath) continue;
    if (Date.now() - root.lastUse < safe.trees) continue;
    await roots.remove(root);
  }
  for (const hex of kept.removable(Date.now() - safe.results)) {
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
