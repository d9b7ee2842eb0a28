import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RedoJournal } from '../../../daemon/artifacts/redo.ts';
import { stageOf } from '../../../daemon/artifacts/stages.ts';
import type { Operation } from '../../../src/tree/apply.ts';
import { diff } from '../../../src/tree/diff.ts';
import { FsHelper } from '../../../src/tree/fs-helper.ts';
import { hashBytes } from '../../../src/tree/hash.ts';
import type { Entry, Manifest } from '../../../src/tree/manifest.ts';
import { placeChanges } from '../../../src/tree/place.ts';
import {
  folder,
  helper,
  lookAt,
  openTree,
  program,
  sorted,
  usesHelper,
  value,
} from '../../tree/rig.ts';

usesHelper();

const T = 1_600_000_000_123_456_789n;
const file = (text: string, mtime = T): Entry => ({
  kind: 'file',
  mode: 0o644,
  size: Buffer.byteLength(text),
  mtime,
  hash: hashBytes(Buffer.from(text)),
});
const dir = (mtime = T): Entry => ({ kind: 'dir', mode: 0o755, mtime });

/** What a build may do to a tree, one of each kind. */
const after: Manifest = new Map<string, Entry>([
  ['', dir(T + 9n)],
  ['kept.c', file('source')],
  ['touched.c', file('same', T + 5n)],
  ['target', dir(T + 8n)],
  ['target/.fingerprint', dir(T + 7n)],
  ['target/.fingerprint/unit', file('new print', T + 6n)],
  ['target/deps', dir(T + 7n)],
  ['target/deps/prog', file('new program', T + 4n)],
  ['target/deps/prog.d', file('prog: kept.c', T + 3n)],
  ['target/empty', file('', T + 3n)],
  ['target/link', { kind: 'symlink', target: 'deps/prog', mtime: T + 4n }],
  ['target/prog', { kind: 'hardlink', to: 'target/deps/prog' }],
  ['was-file', dir(T + 2n)],
  ['was-file/in', file('in', T + 2n)],
]);

const texts = ['new print', 'new program', 'prog: kept.c', 'in'];

function start(): string {
  const at = folder();
  const write = (path: string, text: string): void => {
    fs.writeFileSync(join(at, path), text, { mode: 0o644 });
  };
  for (const path of ['target', 'target/.fingerprint', 'target/deps', 'gone'])
    fs.mkdirSync(join(at, path), { mode: 0o755 });
  write('kept.c', 'source');
  write('touched.c', 'same');
  write('target/.fingerprint/unit', 'old print');
  write('target/.fingerprint/removed', 'x');
  write('target/deps/prog', 'old program');
  fs.linkSync(join(at, 'target/deps/prog'), join(at, 'target/prog'));
  write('gone/file', 'x');
  write('was-file', 'x');
  for (const path of ['kept.c', 'touched.c'])
    fs.utimesSync(join(at, path), 1_600_000_000, 1_600_000_000);
  return at;
}

/** The operations of the placement, found without doing any. */
async function intended(root: string, content: string, spends = false): Promise<Operation[]> {
  const { tree } = openTree(root);
  const before = value(await tree.refresh()).manifest;
  const idle = new FsHelper(program());
  idle.close();
  const operations: Operation[] = [];
  const contents = new Map(texts.map((text) => [hashBytes(Buffer.from(text)), text]));
  for (const [hash, text] of contents) fs.writeFileSync(join(content, hash), text);
  const kept = before.get('kept.c');
  const to: Manifest = new Map(after);
  if (kept !== undefined) to.set('kept.c', kept);
  await placeChanges({
    helper: idle,
    root: tree.root,
    changes: diff(before, to),
    contentOf: (hash) => Buffer.from(join(content, hash)),
    spends: () => spends,
    guard: (path) => tree.stat(path) ?? 'absent',
    before: (path) => before.get(path),
    stage: stageOf,
    intend: (all) => {
      operations.push(...all);
    },
  });
  return operations;
}

/** `after`, with the times of what nobody touches. */
function wanted(root: string): [string, Entry][] {
  const manifest: Manifest = new Map(after);
  const kept = lookAt(root).get('kept.c');
  if (kept !== undefined) manifest.set('kept.c', kept);
  return sorted(manifest);
}

describe('a placement that is cut', () => {
  test.each([
    { contents: 'are copied', spends: false },
    { contents: 'are moved', spends: true },
  ])(
    'at any point is brought to its end by its journal, where contents $contents',
    async ({ spends }) => {
      const shared = helper();
      const count = (await intended(start(), folder())).length;
      expect(count).toBeGreaterThan(15);
      for (let cut = 0; cut <= count; cut++) {
        const root = start();
        const content = folder();
        const operations = await intended(root, content, spends);
        expect(operations).toHaveLength(count);
        const journal = new RedoJournal(join(content, 'redo'));
        journal.intend('job', { root, suffix: 'sfx', operations });
        value(await shared.apply(Buffer.from(root), operations.slice(0, cut), { suffix: 'sfx' }));
        // A new process finds the journal.
        expect(await new RedoJournal(join(content, 'redo')).recover(shared)).toEqual([root]);
        expect(sorted(lookAt(root)), `cut after ${cut}`).toEqual(wanted(root));
        expect(fs.readdirSync(join(content, 'redo'))).toEqual([]);
      }
    },
  );

  test('is left as it is once somebody has gone on with the tree', async () => {
    const root = start();
    const content = folder();
    const operations = await intended(root, content);
    const journal = new RedoJournal(join(content, 'redo'));
    journal.intend('job', { root, suffix: 'sfx', operations });
    const shared = helper();
    value(await shared.apply(Buffer.from(root), operations.slice(0, 6), {}));
    fs.writeFileSync(join(root, 'target/deps/prog'), 'mine');
    const before = sorted(lookAt(root));
    expect(await journal.recover(shared)).toEqual([]);
    expect(sorted(lookAt(root))).toEqual(before);
    expect(fs.readdirSync(join(content, 'redo'))).toEqual([]);
  });

  test('is left as it is when the journal itself was cut, or its contents are gone', async () => {
    const root = start();
    const content = folder();
    const operations = await intended(root, content);
    const before = sorted(lookAt(root));
    const journal = new RedoJournal(join(content, 'redo'));
    journal.intend('job', { root, suffix: '', operations });
    fs.truncateSync(join(content, 'redo', 'job'), 200);
    expect(await journal.recover(helper())).toEqual([]);
    journal.intend('job', { root, suffix: '', operations });
    fs.rmSync(join(content, hashBytes(Buffer.from('in'))));
    expect(await journal.recover(helper())).toEqual([]);
    expect(sorted(lookAt(root))).toEqual(before);
  });

  test('has told tools nothing of what is not there', async () => {
    const operations = await intended(start(), folder());
    const at = (path: string): number =>
      operations.findIndex((each) => each.path === path && each.op !== 'dirMeta');
    expect(at('target/.fingerprint/removed')).toBeLessThan(at('gone/file'));
    expect(at('target/deps/prog.d')).toBeLessThan(at('target/deps/prog'));
    expect(at('target/deps/prog')).toBeLessThan(at('target/prog'));
    expect(at('target/prog')).toBeLessThan(at('target/.fingerprint/unit'));
  });
});
