/** What a link works on files with: helpers, hashes, and where contents are kept on their way back. */
import { join } from 'node:path';
import type { Layout } from '../../src/base/layout.ts';
import { ok, type Result } from '../../src/base/result.ts';
import { FsHelper } from '../../src/tree/fs-helper.ts';
import { Hasher } from '../../src/tree/hash.ts';
import { Store } from '../../src/tree/store.ts';

export type Parts = {
  /** Scans. */
  readonly helper: FsHelper;
  /** Places what returns, so that no scan waits for it. */
  readonly placer: FsHelper;
  readonly spoolFolder: string;
  /** In the spool folder. */
  readonly store: Store;
  readonly hasher: Hasher;
};

export async function openParts(layout: Layout, worker: string): Promise<Result<Parts>> {
  const spoolFolder = join(layout.cache, 'spool', worker);
  const hasher = new Hasher();
  const store = await Store.open({ folder: spoolFolder, hasher });
  if (!store.ok) {
    await hasher.close();
    return store;
  }
  const program = join(layout.lib, 'rch-fs');
  const [helper, placer] = [new FsHelper(program), new FsHelper(program)];
  return ok({ helper, placer, spoolFolder, store: store.value, hasher });
}

export async function closeParts({ helper, placer, store, hasher }: Parts): Promise<void> {
  helper.close();
  placer.close();
  await store.close();
  await hasher.close();
}
