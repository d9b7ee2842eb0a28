/** Makes changes true in a folder: each in one step, never through a symlink, never over what is not expected. */
import { type Failure, never, ok, type Result } from '../base/result.ts';
import type { Content, Guard, Operation, OperationResult } from './apply.ts';
import { byPath, orderChanges } from './diff.ts';
import { errnoName, errnoText, type FsHelper } from './fs-helper.ts';
import { orphans } from './leftovers.ts';
import type { Change, Entry, Hash, RawPath } from './manifest.ts';
import { absolute, shown } from './paths.ts';
import { type Identity, sameButCtime } from './scan.ts';

type FileEntry = Extract<Entry, { kind: 'file' }>;

export type PlaceOptions = {
  readonly helper: FsHelper;
  /** Absolute path of a folder that exists. */
  readonly root: Buffer;
  /** For one manifest (checkChanges), in any order. */
  readonly changes: readonly Change[];
  /** Absolute path of a content of which contentNeeded speaks. */
  readonly contentOf: (hash: Hash) => Buffer;
  /**
   * What must be at a path that is replaced or removed; undefined: anything. Without a guard: anything everywhere.
   * Of folders only the kind counts: one that holds more than the changes know is never removed.
   */
  readonly guard?: (path: RawPath) => Identity | 'absent' | undefined;
  /** On a conflict the new version is kept beside as `NAME.rch-SUFFIX`; without a suffix nowhere. */
  readonly suffix?: string;
  /** Files may share their inode with the content (read-only roots). */
  readonly linkOk?: boolean;
  /** Whether a content, whose path was asked for before, may be gone from there afterwards, whatever comes of it. */
  readonly spends?: (hash: Hash) => boolean;
  /** In which stage a file is put, lowest first (folders come before all, removals before those); 0 for all. */
  readonly stage?: (path: RawPath) => number;
  /** Told what is about to be done, just before it is: for a journal. */
  readonly intend?: (operations: readonly Operation[]) => void;
  /** What stands there now, where it is known: a file of equal content keeps its inode and only gets mode and time. */
  readonly before?: (path: RawPath) => Entry | undefined;
};

export type Placed = {
  /** For Tree.adopt. */
  readonly placed: readonly {
    readonly path: RawPath;
    readonly entry: Entry;
    readonly identity: Identity;
  }[];
  readonly removed: readonly RawPath[];
  /** What stayed as it was here; `kept`: where the other version lies. */
  readonly conflicts: readonly { readonly path: RawPath; readonly kept: RawPath | undefined }[];
};

/** `code` is the errno's name (ENOSPC), or `helper`; what was placed before stays placed. */
export type PlaceFailure = Failure & {
  readonly code: string;
  readonly path: RawPath;
  readonly placed: Placed;
};

function heldAlready(entry: FileEntry, before: Entry | undefined): boolean {
  return before?.kind === 'file' && before.hash === entry.hash;
}

/** The contents that placeChanges will ask for, with their sizes. */
export function contentNeeded(
  changes: Iterable<Change>,
  before?: (path: RawPath) => Entry | undefined,
): Map<Hash, number> {
  const needed = new Map<Hash, number>();
  for (const change of changes) {
    if (change.op === 'gone' || change.entry.kind !== 'file' || change.entry.size === 0) continue;
    if (!heldAlready(change.entry, before?.(change.path)))
      needed.set(change.entry.hash, change.entry.size);
  }
  return needed;
}

function guardOf(options: PlaceOptions, path: RawPath): Guard {
  const expected = options.guard?.(path);
  if (expected === undefined) return 'none';
  if (expected === 'absent') return 'absent';
  // Work on one name of an inode moves the ctime that the others show.
  return expected.nlink > 1 ? { ...expected, ctime: 0n } : expected;
}

function contentFor(options: PlaceOptions, hash: Hash): Content {
  const path = options.contentOf(hash);
  if (options.linkOk === true) return { from: 'link', path };
  return { from: options.spends?.(hash) === true ? 'move' : 'copy', path };
}

function fileOperation(options: PlaceOptions, path: RawPath, entry: FileEntry): Operation {
  const guard = guardOf(options, path);
  const { mode, mtime, size } = entry;
  const held = heldAlready(entry, options.before?.(path));
  const shared = typeof guard === 'object' && guard.nlink > 1;
  if (held && options.linkOk !== true && !shared) return { op: 'meta', path, guard, mode, mtime };
  let content: Content;
  if (size === 0) content = { from: 'inline', data: Buffer.alloc(0) };
  else if (held) content = { from: 'copy', path: absolute(options.root, path) };
  else content = contentFor(options, entry.hash);
  return { op: 'file', path, guard, mode, mtime, size, content };
}

function operationOf(options: PlaceOptions, change: Change): Operation {
  const { path } = change;
  if (change.op === 'gone') return { op: 'remove', path, guard: guardOf(options, path) };
  const { entry } = change;
  switch (entry.kind) {
    case 'file':
      return fileOperation(options, path, entry);
    case 'symlink':
      return {
        op: 'symlink',
        path,
        guard: guardOf(options, path),
        mtime: entry.mtime,
        target: entry.target,
      };
    case 'dir':
      return { op: 'dir', path, guard: guardOf(options, path) };
    case 'hardlink':
      return { op: 'hardlink', path, guard: guardOf(options, path), to: entry.to };
    default:
      return never(entry);
  }
}

/**
 * Sorts in place, as orderChanges does within each stage: removals (the last stage first, for what speaks of others is
 * to go before them), folders, then stage by stage the files, and hard links once their file is there.
 */
function orderStages(changes: Change[], stage: (path: RawPath) => number): Change[] {
  const rank = (change: Change): number => {
    if (change.op === 'gone') return -1e6 - stage(change.path);
    if (change.entry.kind === 'dir') return -1;
    if (change.entry.kind !== 'hardlink') return 2 * stage(change.path);
    return 2 * Math.max(stage(change.path), stage(change.entry.to)) + 1;
  };
  const ranked = new Map(changes.map((change) => [change, rank(change)]));
  return changes.sort((a, b) => {
    const ranks = (ranked.get(a) ?? 0) - (ranked.get(b) ?? 0);
    if (ranks !== 0) return ranks;
    return a.op === 'gone' ? byPath(b.path, a.path) : byPath(a.path, b.path);
  });
}

/** Folders get their mode and time when all below them is done. */
function finishing(changes: readonly Change[]): Operation[] {
  const operations: Operation[] = [];
  for (const change of changes) {
    if (change.op === 'gone' || change.entry.kind !== 'dir') continue;
    const { mode, mtime } = change.entry;
    operations.push({ op: 'dirMeta', path: change.path, mode, mtime });
  }
  return operations.sort((a, b) => byPath(b.path, a.path));
}

type Making = { -readonly [Key in keyof Placed]: Placed[Key][number][] };

function tell(placed: Making, change: Change, result: OperationResult): void {
  if (result.outcome === 'conflict')
    placed.conflicts.push({ path: change.path, kept: result.kept });
  if (result.outcome !== 'done') return;
  if (change.op === 'gone') placed.removed.push(change.path);
  else if (result.identity !== undefined)
    placed.placed.push({ path: change.path, entry: change.entry, identity: result.identity });
}

/** The identities as they are at the end: later work moved the ctime of files with several names. */
async function identified(options: PlaceOptions, made: Making): Promise<Placed> {
  const stats = await options.helper.apply(
    options.root,
    made.placed.map(({ path }) => ({ op: 'stat', path })),
  );
  const results = stats.ok ? stats.value : [];
  const placed: Placed['placed'] = made.placed.flatMap((item, i) => {
    const now = results[i]?.outcome === 'done' ? results[i].identity : undefined;
    if (now === undefined || !sameButCtime(item.identity, now)) return [];
    return [{ ...item, identity: now }];
  });
  return { ...made, placed };
}

/**
 * Makes `changes` true below `root`. A conflict is not a failure: what is here stays, the rest is placed. The first
 * operation that fails ends it; nothing is left half written, and calling again with the same changes goes on.
 */
export async function placeChanges(options: PlaceOptions): Promise<Result<Placed, PlaceFailure>> {
  const { stage } = options;
  const changes =
    stage === undefined
      ? orderChanges([...options.changes])
      : orderStages([...options.changes], stage);
  const operations = changes.map((change) => operationOf(options, change));
  const all = [...operations, ...finishing(changes)];
  const { helper, root, suffix } = options;
  const made: Making = { placed: [], removed: [], conflicts: [] };
  options.intend?.(all);
  const applied = await helper.apply(root, all, suffix === undefined ? {} : { suffix });
  if (!applied.ok) {
    const failure = { ...applied.failure, code: 'helper', path: '', placed: made };
    return { ok: false, failure };
  }
  for (const [i, change] of changes.entries()) {
    const result = applied.value[i];
    if (result !== undefined) tell(made, change, result);
  }
  const placed = await identified(options, made);
  const at = applied.value.findIndex((result) => result.outcome === 'failed');
  const bad = applied.value[at];
  if (bad?.outcome !== 'failed') return ok(placed);
  const path = all[at]?.path ?? '';
  const reason = `${shown(path) || 'the root'} cannot be written: ${errnoText(bad.errno)}`;
  return { ok: false, failure: { reason, code: errnoName(bad.errno), path, placed } };
}

/** Removes the temporaries that killed processes left (of Snapshot.leftovers); what others are at stays. */
export async function removeLeftovers(
  helper: FsHelper,
  root: Buffer,
  found: readonly RawPath[],
): Promise<Result<void>> {
  const leftovers = found.length === 0 ? [] : orphans(root, found);
  if (leftovers.length === 0) return ok(undefined);
  const removed = await helper.apply(
    root,
    leftovers.map((path) => ({ op: 'remove', path, guard: 'none' })),
  );
  return removed.ok ? ok(undefined) : removed;
}
