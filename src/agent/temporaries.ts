/** The temporary folders of a job's own, and what it leaves in them: that comes back, for at home it would be there. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FsHelper } from '../tree/fs-helper.ts';
import type { Hasher } from '../tree/hash.ts';
import type { Change, RawPath } from '../tree/manifest.ts';
import { packChanges } from '../tree/packed.ts';
import { absolute } from '../tree/paths.ts';
import { Tree } from '../tree/tree.ts';
import type { Content } from './blobs-out.ts';
import { isBelow, within } from './caches.ts';
import { rootAt, variable, type JobPlan } from './job-plan.ts';

/** More than that is not brought back, files and bytes. */
const MOST_FILES = 10_000;
const MOST_BYTES = 1e9;

export type Temporary = {
  /** As the tool sees it. */
  readonly path: RawPath;
  /** Below the job's folder. */
  readonly part: string;
};

/** TMPDIR has its own unless it lies in a root, where it is as it is at home. */
export function temporariesOf(plan: JobPlan): Temporary[] {
  const all: Temporary[] = [
    { path: '/tmp', part: 'tmp' },
    { path: '/var/tmp', part: 'vartmp' },
  ];
  const named = variable(plan.env, 'TMPDIR')?.replace(/(?<=.)\/+$/, '') ?? '';
  const plain = named.startsWith('/') && named !== '/' && !/\/\.{0,2}(\/|$)/.test(named);
  if (plain && rootAt(plan, named) === undefined && all.every(({ path }) => path !== named))
    all.push({ path: named, part: 'tmpdir' });
  return all;
}

export type TemporaryResult = {
  readonly path: RawPath;
  readonly parts: readonly Buffer[];
  readonly contents: readonly Content[];
};

export type TemporaryNeeds = {
  readonly plan: JobPlan;
  /** The job's own folder. */
  readonly folder: string;
  readonly helper: FsHelper;
  readonly hasher: Hasher;
};

/** Where something of the job's is mounted in one of its temporary folders: what is there is not left by the tool. */
function mountsIn(plan: JobPlan, folder: RawPath): RawPath[] {
  const { hide, shimDir } = plan.spec;
  const others = temporariesOf(plan).map(({ path }) => path);
  return within(folder, [...plan.roots.map(({ path }) => path), ...hide, shimDir, ...others]);
}

/** Cargo's record of use in a CARGO_HOME that is not here yet: each machine keeps its own. */
function recordsIn(plan: JobPlan, folder: RawPath): RawPath[] {
  const home = variable(plan.env, 'HOME') ?? '';
  const cargo = variable(plan.env, 'CARGO_HOME') ?? (home === '' ? '' : `${home}/.cargo`);
  return within(folder, [cargo.replace(/\/+$/, '')]);
}

/** Whether a folder has nothing but what was mounted in it, and the way there: a look that costs less than a scan. */
function isUntouched(folder: Buffer, mounts: readonly RawPath[]): boolean {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch {
    // The tool closed it.
    return false;
  }
  return entries.every((entry) => {
    const name = entry.name.toString('latin1');
    if (mounts.includes(name)) return true;
    const below = mounts.filter((mount) => isBelow(mount, name));
    if (below.length === 0 || !entry.isDirectory()) return false;
    const inner = below.map((mount) => mount.slice(name.length + 1));
    return isUntouched(Buffer.concat([folder, Buffer.from('/'), entry.name]), inner);
  });
}

/** What the tool left; `tooMuch` names the folder in which there is more than is brought back. */
export async function collectTemporaries(
  needs: TemporaryNeeds,
): Promise<{ results: TemporaryResult[]; tooMuch: RawPath }> {
  const results: TemporaryResult[] = [];
  let tooMuch: RawPath = '';
  for (const { path, part } of temporariesOf(needs.plan)) {
    const root = Buffer.from(join(needs.folder, part));
    const mounts = mountsIn(needs.plan, path);
    const skip = [...mounts, ...recordsIn(needs.plan, path)];
    if (isUntouched(root, skip)) continue;
    const tree = Tree.open({ helper: needs.helper, hasher: needs.hasher, root, skip, own: true });
    const snapshot = await tree.refresh();
    await tree.close();
    if (!snapshot.ok) continue;
    const left = [...snapshot.value.manifest].filter(
      ([at]) => at !== '' && mounts.every((mount) => !isBelow(mount, at)),
    );
    const changes = left.map(([at, entry]): Change => ({ op: 'put', path: at, entry }));
    if (changes.length === 0) continue;
    if (changes.length > MOST_FILES || snapshot.value.bytes > MOST_BYTES) {
      tooMuch = path;
      continue;
    }
    const contents = left.flatMap(([at, entry]): Content[] => {
      if (entry.kind !== 'file') return [];
      const { hash, size } = entry;
      return [{ hash, size, path: absolute(root, at) }];
    });
    results.push({ path, parts: packChanges(changes), contents });
  }
  return { results, tooMuch };
}
