/** The worker's side of a look at a root. */
import type { PushPeer } from './push.ts';
import type { SharedRoot } from './shared-root.ts';

/**
 * Has the agent look at its tree while we look at ours: what somebody else did to it must not come back as the work of
 * the job. False: it was changed, and is at no epoch any more.
 */
export async function lookThere(
  root: SharedRoot,
  peer: Pick<PushPeer, 'ours' | 'request'>,
): Promise<boolean> {
  const { key, epoch } = root;
  if (epoch === undefined || !peer.ours()) return true;
  const answer = await peer.request(
    (request) => [{ type: 'look', request, root: key, from: epoch }],
    () => false,
  );
  const changed = answer.ok && answer.value.type === 'syncMismatch';
  if (!changed) return true;
  // A sync that went out meanwhile was told the same, and has mended it.
  if (root.epoch !== epoch) return root.epoch !== undefined;
  root.distrust();
  return false;
}
