/** What a job changed in a tree: found by a scan, compared with what was agreed, and settled when the link took it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, ok, type Result } from '../base/result.ts';
import { applyChanges, diff, sameEntry } from '../tree/diff.ts';
import type { Special } from '../protocol/jobs.ts';
import type { FsHelper } from '../tree/fs-helper.ts';
import type { Change, Entry, Hash, Manifest, RawPath } from '../tree/manifest.ts';
import { packChanges } from '../tree/packed.ts';
import { absolute, shown } from '../tree/paths.ts';
import { stamp, type StampRule } from '../tree/stamps.ts';
import type { Snapshot } from '../tree/tree.ts';
import type { Content } from './blobs-out.ts';
import { isBelow, isBelowAny } from './caches.ts';
import { COARSE_CLOCK } from './clock.ts';
import type { Root } from './root.ts';
import { removeSpecials, specialsSince } from './specials.ts';
import { stampTree } from './stamping.ts';
import { filesWrittenBelow } from './writers.ts';

/** The window of a run as reported, and what was changed in one of its roots. */
export type RootResult = {
  readonly root: Root;
  readonly from: bigint;
  readonly till: bigint;
  readonly changes: readonly Change[];
  /** The changes as they travel. */
  readonly parts: readonly Buffer[];
  readonly specials: readonly Special[];
  readonly doubts: number;
  settled: boolean;
};

/** What other jobs do in the same root. */
export type Others = {
  /** Their `rch-run` processes. */
  readonly pids: readonly number[];
  /** Files that are theirs to return. */
  readonly outputs: ReadonlySet<RawPath>;
  /** What they found changed and the link has not taken yet; undefined where it is gone. */
  readonly claimed: ReadonlyMap<RawPath, Entry | undefined>;
};

export type Collecting = {
  readonly root: Root;
  readonly helper: FsHelper;
  /** The run's window on the machine's clock, ns, and the clock's shift. */
  readonly from: bigint;
  readonly till: bigint;
  readonly shift: bigint;
  /** Folders whose changes stay here: pure caches. */
  readonly caches: readonly RawPath[];
  /** Where other roots are mounted in this one: what is there is theirs. */
  readonly covered: readonly RawPath[];
  readonly others: Others;
  /** No other job may run in the root. */
  readonly alone: boolean;
};

const MOST = 1n << 62n;

/** How long a tree in which something was removed is watched for more, ms: who empties it does so without a pause. */
const STILL_MS = 100;

/** The rule that makes the worker's clock one that is `shift` off, for what was written in its window. */
function shiftRule(of: Collecting): StampRule {
  return { from: of.from, till: of.till, offset: -of.shift, floor: -MOST, cap: MOST };
}

/** By what stands in a tree: the manifest it was compared with last, and how it differs. Neither ever changes. */
const compared = new WeakMap<Manifest, { readonly with: Manifest; readonly changes: Change[] }>();

/** As `diff`, and at once for a pair that was compared before: a job that changed nothing finds the same two. */
export function diffOnce(agreed: Manifest, actual: Manifest): Change[] {
  const known = compared.get(actual);
  if (known?.with === agreed) return known.changes;
  const changes = diff(agreed, actual);
  compared.set(actual, { with: agreed, changes });
  return changes;
}

/** Whether a change is for another job to return. */
function isTheirs(change: Change, others: Others): boolean {
  const { path } = change;
  // A folder is part of what is in it.
  if (change.op === 'put' && change.entry.kind === 'dir') return false;
  if (others.outputs.has(path)) return true;
  if (!others.claimed.has(path)) return false;
  const claimed = others.claimed.get(path);
  return change.op === 'gone' ? claimed === undefined : sameEntry(claimed, change.entry);
}

/** The changes of the agreed manifest that this job returns. */
function changesOf({ manifest, restless }: Snapshot, of: Collecting): Change[] {
  const written = filesWrittenBelow(of.others.pids);
  const moving = new Set(restless);
  return diffOnce(of.root.agreed, manifest).filter((change) => {
    const { op, path } = change;
    if (isBelowAny(path, of.caches) || isBelowAny(path, of.covered)) return false;
    // A folder made only to mount another root in.
    if (op === 'put' && !of.root.agreed.has(path) && of.covered.some((at) => isBelow(at, path)))
      return false;
    if (moving.has(path) || isTheirs(change, of.others)) return false;
    if (written.size === 0) return true;
    const stat = of.root.tree.stat(path);
    return stat === undefined || !written.has(`${stat.dev} ${stat.ino}`);
  });
}

/**
 * What is removed after a run's last process has ended was removed by somebody else (who empties the worker's caches,
 * say), and then nobody knows what else was: the run has no result. Who was done before the run ended is not found.
 */
async function standsStill(changes: readonly Change[], of: Collecting): Promise<Result<undefined>> {
  const gone = new Set(changes.flatMap(({ op, path }) => (op === 'gone' ? path : [])));
  if (gone.size === 0 || !of.alone) return ok(undefined);
  await sleep(STILL_MS);
  const again = await of.root.tree.refresh();
  if (!again.ok) return again;
  for (const { op, path } of changesOf(again.value, of))
    if (op === 'gone' && !gone.has(path))
      return fail(`${shown(path)} was removed on the worker by somebody else`);
  return ok(undefined);
}

/**
 * The FIFOs and sockets that the run left; none stays in the tree. Beside other jobs nobody knows whose they are, or whether
 * they are in use.
 */
async function takeSpecials({ refused }: Snapshot, of: Collecting): Promise<Special[]> {
  if (!of.alone || refused.length === 0) return [];
  const { helper } = of;
  const { key, treePath } = of.root;
  const made = await specialsSince(of.from, refused, { helper, root: treePath });
  await removeSpecials(helper, treePath, refused);
  const rule = shiftRule(of);
  return made
    .filter(({ path }) => !isBelowAny(path, of.caches) && !isBelowAny(path, of.covered))
    .map((each) => ({ ...each, root: key, mtime: stamp(each.mtime, rule).toString() }));
}

/** Scans the root after a run. */
export async function collectResult(of: Collecting): Promise<Result<RootResult>> {
  const { doubts, tree } = of.root;
  // The tool is gone: what still moves is another job's.
  const patient = of.others.pids.length > 0;
  // Where a tree stands at its own path, something a job left behind may still write in it.
  const how = { patient, quiet: of.alone && !of.root.standsAtPath };
  let snapshot = await tree.refresh(how);
  if (!snapshot.ok) return snapshot;
  let changes = changesOf(snapshot.value, of);
  const still = await standsStill(changes, of);
  if (!still.ok) return still;
  if (of.shift !== 0n) {
    const shifted = await stampTree(changes, snapshot.value.manifest, {
      helper: of.helper,
      tree,
      rule: shiftRule(of),
    });
    if (!shifted.ok) return shifted;
    snapshot = await tree.refresh(how);
    if (!snapshot.ok) return snapshot;
    changes = changesOf(snapshot.value, of);
  }
  return ok({
    root: of.root,
    from: of.from + of.shift,
    till: of.till + of.shift,
    changes,
    parts: packChanges(changes),
    specials: await takeSpecials(snapshot.value, of),
    doubts,
    settled: false,
  });
}

/** What a steady clock and the machine's may differ by in a run without the latter having been set, ns. */
const CLOCK_SET = 1_000_000_000n;

/**
 * The window in which the kernel may have put the times of what ran from `started` to `ended` on the machine's clock,
 * for `elapsed` on one that nobody sets; ns.
 */
export function windowOf(
  started: bigint,
  ended: bigint,
  elapsed: bigint,
): { from: bigint; till: bigint } {
  // Set meanwhile, the clock gave times to what the run made that lie outside of what it says now.
  const early = ended - elapsed + CLOCK_SET < started ? ended - elapsed : started;
  const late = started + elapsed > ended + CLOCK_SET ? started + elapsed : ended;
  return { from: early - COARSE_CLOCK, till: late };
}

/** The contents a result offers, by hash. */
export function contentsOf(results: readonly RootResult[]): Map<Hash, Content> {
  const contents = new Map<Hash, Content>();
  for (const { root, changes } of results)
    for (const change of changes)
      if (change.op === 'put' && change.entry.kind === 'file') {
        const { hash, size } = change.entry;
        contents.set(hash, { hash, size, path: absolute(root.treePath, change.path) });
      }
  return contents;
}

function merged(changes: readonly Change[], later: readonly Change[]): Change[] {
  const byPath = new Map(changes.map((change) => [change.path, change]));
  for (const change of later) byPath.set(change.path, change);
  return [...byPath.values()];
}

/** The link has the result: stamps what the run made, and from now on the tree is at epoch `to`. */
export async function settleResult(
  result: RootResult,
  settlement: { to: bigint; offset: bigint; floor: bigint; cap: bigint },
  helper: FsHelper,
): Promise<Result<undefined>> {
  if (result.settled) return fail('the root was settled before');
  const { root } = result;
  return root.inOrder(async () => {
    const manifest = applyChanges(root.agreed, result.changes);
    const stamped = await stampTree(result.changes, manifest, {
      helper,
      tree: root.tree,
      rule: { from: result.from, till: result.till, ...settlement },
    });
    if (!stamped.ok) {
      root.distrust();
      return stamped;
    }
    result.settled = true;
    root.agree(settlement.to, {
      manifest: applyChanges(manifest, stamped.value),
      changes: merged(result.changes, stamped.value),
      doubts: result.doubts,
    });
    return ok(undefined);
  });
}

/** Whether the link was told all of a result, and said what became of it where that matters. */
export function isSettled(result: RootResult | undefined): boolean {
  return result !== undefined && (result.settled || result.changes.length === 0);
}
