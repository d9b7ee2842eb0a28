/**
 * Places what a command left in its own /tmp into the one here: only what is new. A file that is here already with
 * another content stays, for whatever the command did with its own, it had not seen this one.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { nowNs } from '../../src/base/clock.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { FsHelper } from '../../src/tree/fs-helper.ts';
import type { Hasher } from '../../src/tree/hash.ts';
import type { Change, Entry, Hash, RawPath } from '../../src/tree/manifest.ts';
import { absolute } from '../../src/tree/paths.ts';
import { contentNeeded, placeChanges } from '../../src/tree/place.ts';
import { stamp, type StampRule } from '../../src/tree/stamps.ts';
import type { Wanted } from './bring.ts';
import type { Spool } from './spool.ts';
import type { RootResult } from './take-back.ts';

/** More is not taken from a worker, files and bytes. */
const MOST_FILES = 20_000;
const MOST_BYTES = 2e9;
/** No set-user-ID, whatever a worker says. */
const MODE = 0o1777;

export type TemporariesNeeds = {
  readonly helper: FsHelper;
  readonly hasher: Hasher;
  readonly spool: Spool;
  readonly bring: (wanted: ReadonlyMap<Hash, Wanted>) => Promise<Result<undefined>>;
  /** The worker's clock minus ours, ns. */
  readonly offset: bigint;
  readonly job: string;
};

/** What stands here in the way of an entry: nothing, the same, or something else. */
async function standing(
  path: Buffer,
  entry: Entry,
  hasher: Hasher,
): Promise<'free' | 'same' | 'other'> {
  let stat: Stats | undefined;
  try {
    stat = lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return 'free';
  }
  if (stat === undefined) return 'free';
  switch (entry.kind) {
    case 'dir':
      return stat.isDirectory() ? 'same' : 'other';
    case 'symlink': {
      if (!stat.isSymbolicLink()) return 'other';
      const target = readlinkSync(path, { encoding: 'buffer' }).toString('latin1');
      return target === entry.target ? 'same' : 'other';
    }
    case 'file': {
      if (!stat.isFile() || stat.size !== entry.size) return 'other';
      const hashed = await hasher.hashFile(path);
      return hashed.ok && hashed.value.hash === entry.hash ? 'same' : 'other';
    }
    case 'hardlink':
      return 'other';
  }
}

function stamped(entry: Entry, rule: StampRule): Entry {
  if (entry.kind === 'hardlink') return entry;
  const mtime = stamp(entry.mtime, rule);
  return 'mode' in entry ? { ...entry, mtime, mode: entry.mode & MODE } : { ...entry, mtime };
}

/** Absolute paths that stayed as they were here, against what the command left. */
export async function takeTemporaries(
  folder: RawPath,
  result: RootResult,
  needs: TemporariesNeeds,
): Promise<Result<RawPath[]>> {
  const root = Buffer.from(folder, 'latin1');
  const now = nowNs();
  const { from, till } = result;
  const rule = { from, till, offset: needs.offset, floor: 0n, cap: now };
  const changes: Change[] = [];
  let bytes = 0;
  for (const change of result.changes) {
    if (change.op !== 'put' || change.path === '') continue;
    const { path, entry } = change;
    if ((await standing(absolute(root, path), entry, needs.hasher)) === 'same') continue;
    if (entry.kind === 'file') bytes += entry.size;
    changes.push({ op: 'put', path, entry: stamped(entry, rule) });
  }
  if (changes.length > MOST_FILES || bytes > MOST_BYTES)
    return fail(`the worker claims to have left too much in ${folder}`);
  if (changes.length === 0) return ok([]);
  const brought = await needs.bring(
    new Map([...contentNeeded(changes)].map(([hash, size]) => [hash, { size }])),
  );
  if (!brought.ok) return brought;
  const placed = await placeChanges({
    helper: needs.helper,
    root,
    changes,
    contentOf: (hash) => needs.spool.pathOf(hash),
    guard: () => 'absent',
    suffix: needs.job.slice(0, 8),
  });
  if (!placed.ok) return fail(`${folder}/${placed.failure.path}: ${placed.failure.reason}`);
  return ok(placed.value.conflicts.map(({ path }) => `${folder}/${path}`));
}
