/**
 * Whether a tree still is what was agreed, before a job runs in it. Anybody who may write here may have changed it (who
 * empties caches, purges old files, mends a file system); a job that ran in such a tree would return what they did.
 */
import { RootPolicy } from '../protocol/agent.ts';
import { beneath, sameEntry } from '../tree/diff.ts';
import type { Manifest, RawPath } from '../tree/manifest.ts';
import { shown } from '../tree/paths.ts';
import type { ActiveJob } from './active-job.ts';
import { isBelow, isBelowAny, within } from './caches.ts';
import { diffOnce } from './result.ts';
import type { Root } from './root.ts';

/** ms for which a read-only root is taken for what it was: nothing of it returns, so that it can do less harm. */
const RESTS = 60_000;

type Beside = {
  readonly jobs: readonly ActiveJob[];
  /** All roots of the worker. */
  readonly roots: readonly Root[];
};

/** When each read-only root was last found whole, ms of the monotonic clock. */
const found = new WeakMap<Root, number>();

/** What running jobs do to a tree is found when they end, and is theirs. */
function isBusy(root: Root, jobs: readonly ActiveJob[]): boolean {
  return jobs.some(
    ({ plan, state }) =>
      (state.at !== 'waiting' || plan.spec.concurrent === true) &&
      plan.roots.some((each) => each.root === root),
  );
}

/** Where other roots may have been mounted in this one. */
function coveredIn(root: Root, roots: readonly Root[]): RawPath[] {
  return within(
    root.path,
    roots.map(({ path }) => path),
  );
}

/**
 * Looks at a root in its turn (Root.inOrder). Where it is not what was agreed, nobody vouches for it from then on; the
 * value says what was found.
 */
export async function lookAt(root: Root, beside: Beside): Promise<string | undefined> {
  if (root.epoch === 0n || isBusy(root, beside.jobs)) return undefined;
  const readOnly = root.policy === RootPolicy.readOnly;
  const seen = found.get(root) ?? -Infinity;
  if (readOnly && performance.now() - seen < RESTS) return undefined;
  const damage = await damageOf(root, beside);
  if (damage === undefined) found.set(root, performance.now());
  else root.distrust();
  return damage;
}

async function damageOf(root: Root, { roots }: Beside): Promise<string | undefined> {
  if (await root.restore()) return 'the tree was removed by somebody else';
  const quiet = !root.standsAtPath;
  const snapshot = await root.tree.refresh({ patient: true, quiet });
  if (!snapshot.ok) return snapshot.failure.reason;
  const { agreed } = root;
  const { manifest, refused } = snapshot.value;
  await root.clear(refused);
  const covered = coveredIn(root, roots);
  const change = diffOnce(agreed, manifest).find(({ op, path }) => {
    // Nobody looks into caches; what was sent before a folder was known to be one may be in them or not.
    if (isBelowAny(path, root.caches)) return false;
    if (op === 'gone') return true;
    // A folder made only to mount another root in.
    if (!agreed.has(path)) return !covered.some((at) => isBelow(at, path));
    return root.policy !== RootPolicy.readOnly || !sameBeneath(agreed, manifest, path);
  });
  return change === undefined ? undefined : `${shown(change.path)} was changed by somebody else`;
}

/** Files of a read-only root may be the store's own: equal ones are then names of one. */
function sameBeneath(agreed: Manifest, manifest: Manifest, path: RawPath): boolean {
  const entry = beneath(manifest, path);
  return entry !== undefined && sameEntry(beneath(agreed, path), entry);
}
