/**
 * What of a root must go to the worker before a job: the difference between the tree as it stands here and the
 * manifest both sides agreed on, less what the worker is to start without.
 */
import type { PlannedRoot } from '../../src/protocol/ipc.ts';
import { diff, sameEntry } from '../../src/tree/diff.ts';
import type { Change, Entry, Manifest, RawPath } from '../../src/tree/manifest.ts';

/** The part of a root's state that says what the worker has. */
export type Agreement = {
  /** What the worker has, as of its epoch. */
  readonly agreed: Manifest;
  /**
   * What a tool made below a cold folder, as it was when the worker got the root: it started without it, and gets an
   * entry only once that has changed here.
   */
  readonly withheld: Map<RawPath, Entry>;
  /** Paths whose entry here may differ from the agreed one. */
  readonly doubtful: Set<RawPath>;
};

/** The folder that holds `path`, '' for the root. */
export function parentOf(path: RawPath): RawPath {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** Whether `path` is `folder` or lies below it; '' is the root, in which everything lies. */
export function isBelow(path: RawPath, folder: RawPath): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}

/** The folders that a tool fills, and how they are known. */
export type Cold = Pick<PlannedRoot, 'cold' | 'filled'>;

/**
 * The folders below cold ones that their tool fills anew where they are missing. Whatever else lies there is gone on from:
 * of cargo's the documentation of other crates (doc), files that tests keep (tmp), baselines of benchmarks, fixtures.
 */
function filledIn(local: Manifest, { cold, filled }: Cold): RawPath[] {
  if (filled === undefined) return [];
  const { mark } = filled;
  return [...local.keys()]
    .filter((path) => path === mark || path.endsWith(`/${mark}`))
    .map(parentOf)
    .filter((path) => cold.some((folder) => isBelow(path, folder)));
}

/** The pure cache that a path lies in, or undefined. */
export type CacheOf = (path: RawPath) => RawPath | undefined;

/** The caches that a command names, and those of all folders that its tool fills: other commands named them, or will. */
export function cachesIn(
  local: Manifest,
  caches: readonly RawPath[],
  { cold, filled }: Cold,
): CacheOf {
  return (path) => {
    const named = caches.find((folder) => isBelow(path, folder));
    if (named !== undefined || filled === undefined) return named;
    for (let at = path; at !== ''; at = parentOf(at)) {
      const parent = parentOf(at);
      if (at !== below(parent, filled.cache) || !local.has(below(parent, filled.mark))) continue;
      if (cold.some((folder) => isBelow(parent, folder))) return at;
    }
    return undefined;
  };
}

function below(folder: RawPath, name: RawPath): RawPath {
  return folder === '' ? name : `${folder}/${name}`;
}

/** Fills `withheld` from the tree as it stands, for a worker that gets the root for the first time. */
export function withhold(agreement: Agreement, local: Manifest, cold: Cold): void {
  agreement.withheld.clear();
  const filled = filledIn(local, cold);
  if (filled.length === 0) return;
  for (const [path, entry] of local)
    // The root itself is there, whatever it lacks: without it nothing could be.
    if (path !== '' && filled.some((folder) => isBelow(path, folder)))
      agreement.withheld.set(path, entry);
}

/**
 * What a result leaves of what the worker did without, and would not have: the tool wrote in the folder of a unit, and what
 * is not there any more it would have removed.
 */
export function outdated(
  { withheld }: Pick<Agreement, 'withheld'>,
  changes: readonly Change[],
  filled: PlannedRoot['filled'],
): Change[] {
  if (filled === undefined || withheld.size === 0) return [];
  const told = new Set(changes.map(({ path }) => path));
  const units = new Set<RawPath>();
  for (const { op, path } of changes) {
    const unit = parentOf(path);
    const around = parentOf(unit);
    if (op === 'put' && around === below(parentOf(around), filled.units)) units.add(unit);
  }
  return [...withheld.keys()]
    .filter((path) => units.has(parentOf(path)) && !told.has(path))
    .map((path) => ({ op: 'gone', path }));
}

/** Whether the worker does without this path. */
function isWithheld(agreement: Agreement, path: RawPath, entry: Entry): boolean {
  const kept = agreement.withheld.get(path);
  return kept !== undefined && sameEntry(kept, entry);
}

/** Everything the worker should have: for a sync that sends the whole manifest. */
export function wholeOf(agreement: Agreement, local: Manifest, cacheOf: CacheOf): Manifest {
  const wanted: Manifest = new Map();
  for (const [path, entry] of local) {
    if (cacheOf(path) !== undefined) continue;
    if (isWithheld(agreement, path, entry)) continue;
    wanted.set(path, entry);
  }
  for (const [path, entry] of wanted) addFoundations(agreement, local, wanted, { path, entry });
  return wanted;
}

/** Adds the folders above `path`, and the file a hard link names, where they were withheld. */
function addFoundations(
  agreement: Agreement,
  local: Manifest,
  wanted: Manifest,
  of: { readonly path: RawPath; readonly entry: Entry },
): void {
  const needs = of.entry.kind === 'hardlink' ? [of.entry.to] : [];
  for (let folder = of.path; folder !== '';) {
    folder = parentOf(folder);
    needs.push(folder);
  }
  for (const path of needs) {
    if (wanted.has(path) || agreement.agreed.has(path)) continue;
    const entry = local.get(path);
    if (entry === undefined) continue;
    agreement.withheld.delete(path);
    wanted.set(path, entry);
    if (path !== '') addFoundations(agreement, local, wanted, { path, entry });
  }
}

/** The changes that bring the worker from the agreed manifest to the tree here. Settles what was doubtful. */
export function changesOf(agreement: Agreement, local: Manifest, cacheOf: CacheOf): Change[] {
  const before: Manifest = new Map();
  const after: Manifest = new Map();
  for (const path of agreement.doubtful) {
    const there = agreement.agreed.get(path);
    const here = local.get(path);
    const cache = cacheOf(path);
    if (cache !== undefined && stays(cache, local)) continue;
    if (there !== undefined) before.set(path, there);
    if (here === undefined) {
      if (there === undefined) agreement.doubtful.delete(path);
      continue;
    }
    if (there === undefined && isWithheld(agreement, path, here)) continue;
    after.set(path, here);
    if (here.kind !== 'hardlink' && sameEntry(there, here)) agreement.doubtful.delete(path);
  }
  for (const [path, entry] of [...after]) addFoundations(agreement, local, after, { path, entry });
  return diff(before, after);
}

/**
 * The caches of folders that were emptied here (`cargo clean`, `rm -rf target`), though the launcher made them anew, with
 * their lock: they are meant, too.
 */
export function emptied(
  { agreed }: Pick<Agreement, 'agreed'>,
  local: Manifest,
  { caches, filled }: Pick<PlannedRoot, 'filled'> & { readonly caches: readonly RawPath[] },
): Change[] {
  if (filled === undefined) return [];
  return caches
    .filter((cache) => {
      const units = below(parentOf(cache), filled.units);
      return agreed.has(units) && !local.has(units);
    })
    .map((path) => ({ op: 'gone', path }));
}

/** Whether the folder around a cache is still here: else the cache goes with it, and all that was sent into it. */
function stays(cache: RawPath, local: Manifest): boolean {
  const parent = parentOf(cache);
  return parent === '' || local.get(parent)?.kind === 'dir';
}

/** Records that the worker now has `changes`. */
export function agree(agreement: Agreement, changes: readonly Change[]): void {
  for (const change of changes) {
    agreement.withheld.delete(change.path);
    if (change.op === 'gone') agreement.agreed.delete(change.path);
    else agreement.agreed.set(change.path, change.entry);
  }
}
