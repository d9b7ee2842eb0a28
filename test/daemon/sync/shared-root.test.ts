import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { SharedRoot } from '../../../daemon/sync/shared-root.ts';
import type { PlannedRoot } from '../../../src/protocol/ipc.ts';
import { hashBytes } from '../../../src/tree/hash.ts';
import type { Change } from '../../../src/tree/manifest.ts';
import { placeChanges } from '../../../src/tree/place.ts';
import { folder, hasher, helper, usesHelper, value } from '../../tree/rig.ts';

usesHelper();

/** How folders that cargo fills are known. */
const filled = { mark: '.cargo-lock', cache: 'incremental', units: '.fingerprint' };

type Rig = {
  readonly root: SharedRoot;
  readonly path: string;
  /** What the worker got first. */
  readonly first: readonly string[];
  /** What the next sync would send. */
  readonly next: () => Promise<Change[]>;
  /** A job's return: a file with this content. */
  readonly bring: (name: string, content: string) => Promise<void>;
};

async function shared(
  files: Readonly<Record<string, string>>,
  cold: readonly string[] = [],
): Promise<Rig> {
  const top = folder();
  const path = join(top, 'project');
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(path, name)), { recursive: true });
    fs.writeFileSync(join(path, name), content);
  }
  const plan: PlannedRoot = {
    path,
    policy: 'project',
    skip: [],
    only: [],
    cold: [...cold],
    filled,
  };
  const tools = { helper: helper(), hasher: hasher(), folder: join(top, 'trees') };
  const root = SharedRoot.open(plan, tools);
  const sent = root.outgoing(value(await root.look()), [], plan);
  root.sent(sent, 1n);
  const bring = async (name: string, content: string): Promise<void> => {
    const snapshot = value(await root.look());
    const spooled = join(top, 'spooled');
    fs.writeFileSync(spooled, content);
    const hash = hashBytes(Buffer.from(content));
    const entry = { kind: 'file', hash, size: content.length, mode: 0o644, mtime: 1_000n } as const;
    const changes: Change[] = [{ op: 'put', path: name, entry }];
    const placed = await placeChanges({
      helper: tools.helper,
      root: Buffer.from(path),
      changes,
      contentOf: () => Buffer.from(spooled),
      before: (of) => snapshot.manifest.get(of),
    });
    for (const one of value(placed).placed) root.tree.adopt(one.path, one.entry, one.identity);
    root.returned(changes, [], root.nextEpoch());
  };
  const next = async (): Promise<Change[]> =>
    root.outgoing(value(await root.look()), [], plan).changes.filter(({ path: of }) => of !== '');
  return { root, path, first: sent.changes.map(({ path: of }) => of), next, bring };
}

test('what a job brought and is removed before the next one is removed on the worker too', async () => {
  const rig = await shared({ Makefile: 'out:\n' });
  await rig.bring('out', 'made');
  fs.rmSync(join(rig.path, 'out'));
  expect(await rig.next()).toEqual([{ op: 'gone', path: 'out' }]);
  await rig.root.tree.close();
});

test('what a job replaced and is put back as it was goes to the worker again', async () => {
  const rig = await shared({ out: 'old' });
  fs.linkSync(join(rig.path, 'out'), join(rig.path, '..', 'kept'));
  await rig.bring('out', 'made');
  fs.renameSync(join(rig.path, '..', 'kept'), join(rig.path, 'out'));
  const changes = await rig.next();
  expect(changes).toMatchObject([
    { op: 'put', path: 'out', entry: { hash: hashBytes(Buffer.from('old')) } },
  ]);
  await rig.root.tree.close();
});

test('what was brought and stays is not sent back', async () => {
  const rig = await shared({ Makefile: 'out:\n' });
  await rig.bring('out', 'made');
  expect(await rig.next()).toEqual([]);
  expect(await rig.next()).toEqual([]);
  await rig.root.tree.close();
});

test('of a target folder a worker starts without what cargo makes anew alone', async () => {
  const made = ['debug/.cargo-lock', 'debug/app', 'debug/deps/app-1', 'riscv/debug/.cargo-lock'];
  const kept = ['doc/crates.js', 'tmp/count', 'criterion/one/base/sample.json', 'CACHEDIR.TAG'];
  const names = [...made, ...kept].map((name) => `target/${name}`);
  const rig = await shared(Object.fromEntries(names.map((name) => [name, 'x'])), ['target']);
  const files = rig.first.filter((path) => fs.statSync(join(rig.path, path)).isFile());
  expect(files.sort()).toEqual(kept.map((name) => `target/${name}`).sort());
  expect(await rig.next()).toEqual([]);
  await rig.root.tree.close();
});
