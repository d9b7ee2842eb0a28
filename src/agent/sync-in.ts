/** Brings a root from one epoch to another: what differs, the contents it takes, and only then the tree itself. */
import { ok, type Failure, type Result } from '../base/result.ts';
import { RootPolicy } from '../protocol/agent.ts';
import type { RefusalKind } from '../protocol/jobs.ts';
import type { Aside } from '../tree/apply.ts';
import { applyChanges, checkManifest, diff } from '../tree/diff.ts';
import type { FsHelper } from '../tree/fs-helper.ts';
import type { Change, Entry, Hash, Manifest, RawPath } from '../tree/manifest.ts';
import { checkChanges } from '../tree/packed.ts';
import { absolute, shown, upwards } from '../tree/paths.ts';
import {
  contentNeeded,
  type Placed,
  placeChanges,
  type PlaceFailure,
  removeLeftovers,
} from '../tree/place.ts';
import type { Store } from '../tree/store.ts';
import { endedCaches, isBelow, isBelowAny, keptCaches, removalOf } from './caches.ts';
import type { Contents, Missing } from './contents.ts';
import type { Root } from './root.ts';

/** From so many removals on, a folder goes aside in one step, and is emptied while nobody waits. */
const WORTH_ASIDE = 16;

export type SyncRequest = {
  readonly root: Root;
  readonly from: bigint;
  readonly to: bigint;
  readonly whole: boolean;
  readonly changes: readonly Change[];
};

export type SyncNeeds = {
  readonly store: Store;
  readonly contents: Contents;
  /** With a folder for what goes aside. */
  readonly helper: FsHelper;
  /** Something went aside. */
  readonly tidy: () => void;
  /** Aborted when contents still on the way will not come: the connection is gone, or a file is. */
  readonly signal: AbortSignal;
  /** Tells the link what is missing. */
  readonly need: (lack: Lack) => void;
  /** Checks the room on the disk for so many bytes. */
  readonly room: (bytes: number) => Promise<Result<undefined>>;
};

/** A file here that a content may have much in common with. */
export type Base = { readonly hash: Hash; readonly size: number; readonly path: Buffer };

export type Lack = {
  readonly missing: readonly Missing[];
  /** Bytes of each that are here already. */
  readonly partial: readonly number[];
  /** What stands in the place of a missing content until the sync ends. */
  readonly baseOf: (hash: Hash) => Base | undefined;
};

export type SyncRefusal = Failure & { readonly kind: RefusalKind };

/** `mismatch`: the tree is at `at`, and only the whole manifest helps; `reason`: what was found in it. */
export type Synced =
  | { readonly type: 'synced'; readonly epoch: bigint }
  | { readonly type: 'mismatch'; readonly at: bigint; readonly reason?: string };

/** Everything a sync will do, decided before anything is touched. */
type SyncPlan = {
  readonly manifest: Manifest;
  /** What is done to the tree, in order. */
  readonly changes: readonly Change[];
  readonly ended: readonly string[];
  /** What stands in the tree now. */
  readonly before: Manifest;
};

function refused(kind: RefusalKind, failure: Failure): Result<never, SyncRefusal> {
  return { ok: false, failure: { ...failure, kind } };
}

/**
 * Whether the changes may be made under the eyes of running jobs: only what is new comes to a read-only root. Jobs
 * that do not have a project root to themselves see edits there as they would at home.
 */
function besideJobs(request: SyncRequest): boolean {
  if (request.whole) return false;
  if (request.root.policy !== RootPolicy.readOnly) return true;
  const { agreed } = request.root;
  return request.changes.every(
    (change) => change.op === 'put' && (change.entry.kind === 'dir' || !agreed.has(change.path)),
  );
}

/** Does the whole of a sync. Waits its turn behind the jobs that use the tree. */
export async function syncIn(
  request: SyncRequest,
  needs: SyncNeeds,
): Promise<Result<Synced, SyncRefusal>> {
  const turn = await request.root.turns.take(!besideJobs(request), needs.signal);
  if (!turn.ok) return refused('internal', turn.failure);
  try {
    return await request.root.inOrder(() => bring(request, needs));
  } finally {
    turn.value();
  }
}

async function bring(request: SyncRequest, needs: SyncNeeds): Promise<Result<Synced, SyncRefusal>> {
  const { root } = request;
  if (!root.standsWhole)
    return refused('no-sandbox', { reason: `${root.path} is no longer the folder rch made there` });
  if (!request.whole && (root.epoch === 0n || root.epoch !== request.from))
    return ok({ type: 'mismatch', at: root.epoch });
  const checked = checkChanges(request.changes);
  if (!checked.ok) return refused('bad-path', checked.failure);
  const planned = request.whole ? await planWhole(request, needs.helper) : planChanges(request);
  if (!planned.ok) return planned;
  const release = needs.contents.hold(planned.value.changes);
  try {
    const fetched = await fetchContents(planned.value, request, needs);
    return fetched.ok ? await place(planned.value, request, needs) : fetched;
  } finally {
    release();
  }
}

async function actualOf(root: Root, helper: FsHelper): Promise<Result<Manifest, SyncRefusal>> {
  await root.restore();
  const snapshot = await root.tree.refresh();
  if (!snapshot.ok) return refused('internal', snapshot.failure);
  const { manifest, leftovers } = snapshot.value;
  await root.clear(snapshot.value.refused);
  await removeLeftovers(helper, root.treePath, leftovers);
  return ok(manifest);
}

async function planWhole(
  request: SyncRequest,
  helper: FsHelper,
): Promise<Result<SyncPlan, SyncRefusal>> {
  const { root } = request;
  const wanted = applyChanges(new Map(), request.changes);
  const checked = checkManifest(wanted);
  if (!checked.ok) return refused('bad-path', checked.failure);
  const actual = await actualOf(root, helper);
  if (!actual.ok) return actual;
  const kept = keptCaches(wanted, root.caches);
  const ended = root.caches.filter((folder) => !kept.includes(folder));
  return ok({
    manifest: wanted,
    changes: diff(actual.value, wanted),
    ended,
    before: actual.value,
  });
}

function planChanges(request: SyncRequest): Result<SyncPlan, SyncRefusal> {
  const { root, changes } = request;
  const manifest = applyChanges(root.agreed, changes);
  const checked = checkManifest(manifest);
  if (!checked.ok) return refused('bad-path', checked.failure);
  const ended = endedCaches(changes, root.caches);
  return ok({ manifest, changes, ended, before: root.agreed });
}

/**
 * What stands in the tree and may be kept: a file of a read-only root may be the store's own, and is always replaced;
 * of an ended cache nothing is left.
 */
function keptOf(plan: SyncPlan, root: Root): ((path: RawPath) => Entry | undefined) | undefined {
  if (root.policy === RootPolicy.readOnly) return undefined;
  return (path) => (isBelowAny(path, plan.ended) ? undefined : plan.before.get(path));
}

/**
 * The contents that the changes take and the store lacks, largest last so that small ones are not held up. Somebody
 * else may have removed some from the store: a cache is anybody's to empty.
 */
function lackingOf(plan: SyncPlan, root: Root, store: Store): Missing[] {
  store.restore();
  return [...contentNeeded(plan.changes, keptOf(plan, root))]
    .filter(([hash]) => !store.lookFor(hash))
    .map(([hash, size]) => ({ hash, size }))
    .sort((a, b) => a.size - b.size);
}

/** Takes into the store what the tree itself holds under another name (a file that was moved or copied). */
async function takeOwn(missing: readonly Missing[], root: Root, store: Store): Promise<void> {
  if (missing.length === 0) return;
  const lacking = new Set(missing.map(({ hash }) => hash));
  for (const [path, entry] of root.agreed) {
    if (entry.kind !== 'file' || !lacking.delete(entry.hash)) continue;
    // It fails where the file has another content by now; then the content comes over the wire.
    await store.add(absolute(root.treePath, path), entry.hash);
  }
}

/** The file that stands where a change puts the content `hash`. */
function baseIn(plan: SyncPlan, root: Root, hash: Hash): Base | undefined {
  for (const change of plan.changes) {
    if (change.op !== 'put' || change.entry.kind !== 'file' || change.entry.hash !== hash) continue;
    const named = plan.before.get(change.path);
    const path = named?.kind === 'hardlink' ? named.to : change.path;
    const before = plan.before.get(path);
    if (before?.kind !== 'file') continue;
    return { hash: before.hash, size: before.size, path: absolute(root.treePath, path) };
  }
  return undefined;
}

async function fetchContents(
  plan: SyncPlan,
  request: SyncRequest,
  needs: SyncNeeds,
): Promise<Result<undefined, SyncRefusal>> {
  await takeOwn(lackingOf(plan, request.root, needs.store), request.root, needs.store);
  const missing = lackingOf(plan, request.root, needs.store);
  const bytes = missing.reduce((sum, { size }) => sum + size, 0);
  const room = await needs.room(bytes);
  if (!room.ok) return refused('disk-full', room.failure);
  // Before anything is asked for, so that nothing arrives unseen.
  const given = new AbortController();
  const signal = AbortSignal.any([needs.signal, given.signal]);
  const complete = needs.contents.wait(missing, signal);
  const partial: number[] = [];
  const asked: Missing[] = [];
  for (const each of missing) {
    const begun = await needs.contents.held(each);
    if (!begun.ok) {
      given.abort();
      return refused('internal', begun.failure);
    }
    if (needs.store.has(each.hash)) continue;
    asked.push(each);
    partial.push(begun.value);
  }
  const baseOf = (hash: Hash): Base | undefined => baseIn(plan, request.root, hash);
  if (asked.length > 0) needs.need({ missing: asked, partial, baseOf });
  const arrived = await complete;
  return arrived.ok ? ok(undefined) : refused('bad-content', arrived.failure);
}

/** The topmost folders that go with much in them, and into which nothing comes. */
function goingWhole(changes: readonly Change[]): RawPath[] {
  const gone = new Set(changes.filter(({ op }) => op === 'gone').map(({ path }) => path));
  const going = new Map<RawPath, number>();
  for (const path of gone) {
    let top = path;
    for (const above of upwards(path)) {
      if (!gone.has(above)) break;
      top = above;
    }
    going.set(top, (going.get(top) ?? 0) + 1);
  }
  const whole = new Set<RawPath>();
  for (const [path, count] of going) if (count >= WORTH_ASIDE && path !== '') whole.add(path);
  for (const { op, path } of changes)
    if (op === 'put') for (const above of upwards(path)) whole.delete(above);
  return [...whole];
}

function isIn(path: RawPath, folders: ReadonlySet<RawPath>): boolean {
  if (folders.size === 0) return false;
  for (const above of upwards(path)) if (folders.has(above)) return true;
  return false;
}

/** Whether something is put at a path or below it. */
function takesIn({ changes }: SyncPlan, folder: RawPath): boolean {
  return changes.some(({ op, path }) => op === 'put' && isBelow(path, folder));
}

/** Puts aside what goes as a whole, in one step each; what it gives needs no removal any more. */
async function putAside(
  plan: SyncPlan,
  request: SyncRequest,
  needs: SyncNeeds,
): Promise<Set<RawPath>> {
  const { root } = request;
  // What stands at its own path may be on another file system; and of what running jobs made, only what is known goes.
  const able = !root.standsAtPath && root.turns.holders === 1;
  const whole = able ? goingWhole(plan.changes) : [];
  const above = new Set(whole);
  // What a cache holds was never counted.
  if (able && !request.whole)
    whole.push(...plan.ended.filter((folder) => !isIn(folder, above) && !takesIn(plan, folder)));
  if (whole.length === 0) return new Set();
  const operations = whole.map((path): Aside => ({ op: 'aside', path }));
  const done = await needs.helper.apply(root.treePath, operations);
  needs.tidy();
  return new Set(done.ok ? whole.filter((_, at) => done.value[at]?.outcome === 'done') : []);
}

/** What is left to do when some folders went aside: also the removal of what ended caches hold. */
async function restOf(
  plan: SyncPlan,
  aside: ReadonlySet<RawPath>,
  { root, helper }: { root: Root; helper: FsHelper },
): Promise<Result<Change[]>> {
  const changes = plan.changes.filter(({ path }) => !isIn(path, aside));
  const ended = plan.ended.filter((folder) => !isIn(folder, aside));
  if (ended.length === 0) return ok(changes);
  const removed = await removalOf(root.treePath, ended, helper);
  if (!removed.ok) return removed;
  const gone = new Set(changes.filter(({ op }) => op === 'gone').map(({ path }) => path));
  return ok([...removed.value.filter(({ path }) => !gone.has(path)), ...changes]);
}

/** Of what could not be placed. */
function refusalOf(placed: Result<Placed, PlaceFailure>): SyncRefusal {
  if (!placed.ok) {
    const { code, reason } = placed.failure;
    return { kind: code === 'ENOSPC' || code === 'EDQUOT' ? 'disk-full' : 'internal', reason };
  }
  const [conflict] = placed.value.conflicts;
  return { kind: 'internal', reason: `${shown(conflict?.path ?? '')} is not what it should be` };
}

async function place(
  plan: SyncPlan,
  request: SyncRequest,
  needs: SyncNeeds,
): Promise<Result<Synced, SyncRefusal>> {
  const { root, to } = request;
  const { tree } = root;
  const { doubts } = root;
  root.placing();
  const before = keptOf(plan, root);
  const aside = await putAside(plan, request, needs);
  const rest = await restOf(plan, aside, { root, helper: needs.helper });
  if (!rest.ok) {
    root.distrust();
    return refused('internal', rest.failure);
  }
  const placed = await placeChanges({
    helper: needs.helper,
    root: root.treePath,
    changes: rest.value,
    contentOf: (hash) => needs.store.pathOf(hash),
    // Where nothing is mounted read-only over it, a tool would write through the link, into every project's content.
    linkOk: root.policy === RootPolicy.readOnly && !root.standsAtPath,
    ...(before === undefined ? {} : { before }),
  });
  if (!placed.ok || placed.value.conflicts.length > 0) {
    root.distrust();
    const refusal = refusalOf(placed);
    // The tree was not what was agreed, then; what it is, only a whole sync finds.
    if (!request.whole && refusal.kind !== 'disk-full')
      return ok({ type: 'mismatch', at: 0n, reason: refusal.reason });
    return { ok: false, failure: refusal };
  }
  for (const { path } of plan.changes) tree.replaced(path);
  for (const { path, entry, identity } of placed.value.placed) tree.adopt(path, entry, identity);
  root.dropCaches(plan.ended);
  if (request.whole) root.replace(to, plan.manifest, doubts);
  else root.agree(to, { manifest: plan.manifest, changes: request.changes, doubts });
  return ok({ type: 'synced', epoch: to });
}
