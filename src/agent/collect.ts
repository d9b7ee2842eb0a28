/** Keeps what the agent holds below its bound: contents nobody needs go first, then trees unused the longest. */
import type { Contents } from './contents.ts';
import type { Root } from './root.ts';
import type { Roots } from './roots.ts';
import type { Store } from '../tree/store.ts';

/** A tree used so recently is left alone unless somebody asked for room, ms. */
const RECENT = 10 * 60 * 1000;

export type Collected = { readonly freed: bigint; readonly held: bigint };

export type CollectNeeds = {
  readonly store: Store;
  readonly contents: Contents;
  readonly roots: Roots;
};

function bytesOf(roots: readonly Root[]): number {
  return roots.reduce((sum, root) => sum + root.bytes, 0);
}

/** What store and trees hold together, bytes. */
export function heldBytes(needs: CollectNeeds): number {
  return needs.store.bytes + bytesOf(needs.roots.all);
}

/** Shrinks to `limit` bytes as far as nobody uses what there is. `asked`: also what was used just now may go. */
export async function collect(
  limit: number,
  asked: boolean,
  needs: CollectNeeds,
): Promise<Collected> {
  const before = heldBytes(needs);
  await needs.store.collect(Math.max(0, limit - bytesOf(needs.roots.all)), needs.contents.pinned);
  const oldest = needs.roots.all.sort((a, b) => a.lastUse - b.lastUse);
  for (const root of oldest) {
    if (heldBytes(needs) <= limit) break;
    if (!root.turns.idle || root.standsAtPath) continue;
    if (!asked && Date.now() - root.lastUse < RECENT) continue;
    await needs.roots.remove(root);
  }
  const held = heldBytes(needs);
  return { freed: BigInt(Math.max(0, before - held)), held: BigInt(held) };
}
