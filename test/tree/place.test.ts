import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { diff } from '../../src/tree/diff.ts';
import { hashBytes } from '../../src/tree/hash.ts';
import type { Change, Entry, Manifest } from '../../src/tree/manifest.ts';
import { contentNeeded, placeChanges, type PlaceOptions } from '../../src/tree/place.ts';
import { contents, manifests } from './arbitrary.ts';
import {
  clockPasses,
  folder,
  hasher,
  helper,
  lookAt,
  openTree,
  plainHelper,
  reason,
  sorted,
  temporaries,
  usesHelper,
  value,
} from './rig.ts';

usesHelper();

const root = process.getuid?.() === 0;

/** Contents as files, by hash. */
function stock(extra: readonly Buffer[] = []): (hash: string) => Buffer {
  const at = folder();
  fs.chmodSync(at, 0o755);
  for (const [hash, data] of [...contents, ...extra.map((d) => [hashBytes(d), d] as const)])
    fs.writeFileSync(join(at, hash), data);
  return (hash) => Buffer.from(join(at, hash));
}

const T = 1_600_000_000_123_456_789n;
const fileOf = (text: string, more: Partial<Extract<Entry, { kind: 'file' }>> = {}): Entry => ({
  kind: 'file',
  mode: 0o644,
  size: Buffer.byteLength(text),
  mtime: T,
  hash: hashBytes(Buffer.from(text)),
  ...more,
});
const dirOf = (mode = 0o755, mtime = T): Entry => ({ kind: 'dir', mode, mtime });
const put = (path: string, entry: Entry): Change => ({ op: 'put', path, entry });

type Parts = Partial<PlaceOptions> & { changes: readonly Change[] };

function placing(
  at: string,
  texts: readonly string[] = [],
): (parts: Parts) => ReturnType<typeof placeChanges> {
  const contentOf = stock(texts.map((text) => Buffer.from(text)));
  const shared = helper();
  return (parts) => placeChanges({ helper: shared, root: Buffer.from(at), contentOf, ...parts });
}

/** Whether files of the folder can share their blocks: then nothing need be moved. */
function canClone(at: string): boolean {
  const [from, to] = [join(at, '.from'), join(at, '.to')];
  fs.writeFileSync(from, 'x'.repeat(100_000));
  try {
    fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    for (const path of [from, to]) fs.rmSync(path, { force: true });
  }
}

describe('placing', () => {
  test('makes any manifest from any other, to the last nanosecond', async () => {
    const contentOf = stock();
    const shared = helper();
    const { tree } = openTree(folder(), { helper: shared });
    const at = tree.root;
    let before: Manifest = value(await tree.refresh()).manifest;
    await fc.assert(
      fc.asyncProperty(manifests, fc.boolean(), async (to, knows) => {
        const changes = diff(before, to);
        const known = before;
        const placed = value(
          await placeChanges({
            helper: shared,
            root: at,
            changes,
            contentOf,
            ...(knows ? { before: (path: string) => known.get(path) } : {}),
          }),
        );
        expect(placed.conflicts).toEqual([]);
        expect(sorted(lookAt(at.toString()))).toEqual(sorted(to));
        for (const one of placed.placed) tree.adopt(one.path, one.entry, one.identity);
        const snapshot = value(await tree.refresh());
        expect(sorted(snapshot.manifest)).toEqual(sorted(to));
        expect(diff(known, snapshot.manifest)).toEqual(diff(known, to));
        before = snapshot.manifest;
      }),
      { numRuns: 100 },
    );
    expect(temporaries(at.toString())).toEqual([]);
  });

  test('does the same guarded by what the scan saw, and where openat2 is missing', async () => {
    process.env['RCH_FS_WALK'] = '1';
    onTestFinished(() => {
      delete process.env['RCH_FS_WALK'];
    });
    const contentOf = stock();
    const { tree, helper: shared } = openTree(folder());
    let before: Manifest = value(await tree.refresh()).manifest;
    await fc.assert(
      fc.asyncProperty(manifests, async (to) => {
        const placed = value(
          await placeChanges({
            helper: shared,
            root: tree.root,
            changes: diff(before, to),
            contentOf,
            guard: (path) => tree.stat(path) ?? 'absent',
            suffix: 'x',
          }),
        );
        expect(placed.conflicts).toEqual([]);
        const snapshot = value(await tree.refresh());
        expect(sorted(snapshot.manifest)).toEqual(sorted(to));
        before = snapshot.manifest;
      }),
      { numRuns: 80 },
    );
    expect(temporaries(tree.root.toString())).toEqual([]);
  });

  test('leaves the times of a folder in which it only replaced a file', async () => {
    const at = folder();
    const place = placing(at, ['one', 'two']);
    value(await place({ changes: [put('d', dirOf()), put('d/f', fileOf('one'))] }));
    value(await place({ changes: [put('d/f', fileOf('two'))] }));
    expect(fs.statSync(join(at, 'd'), { bigint: true }).mtimeNs).toBe(T);
    expect(fs.readFileSync(join(at, 'd/f'), 'utf8')).toBe('two');
  });

  test('lets nothing be hashed again afterwards', async () => {
    const at = folder();
    const { tree, hasher: counted, helper: shared } = openTree(at);
    const contentOf = stock();
    value(await tree.refresh());
    const hash = [...contents.keys()][4] ?? '';
    const entry = { kind: 'file', mode: 0o644, size: 5000, mtime: T, hash } as const;
    const changes = [
      put('a', entry),
      put('b', { kind: 'hardlink', to: 'a' }),
      put('d', dirOf()),
      put('d/c', entry),
    ];
    const placed = value(
      await placeChanges({ helper: shared, root: tree.root, changes, contentOf }),
    );
    for (const one of placed.placed) tree.adopt(one.path, one.entry, one.identity);
    expect(placed.placed.map((one) => one.path)).toEqual(['a', 'd/c', 'b']);
    const snapshot = value(await tree.refresh());
    expect(snapshot.manifest.get('b')).toEqual({ kind: 'hardlink', to: 'a' });
    expect(counted.counts.files).toBe(0);
    // But an edit in the very moment after is seen, by its time.
    fs.writeFileSync(join(at, 'd/c'), 'y'.repeat(5000));
    expect(value(await tree.refresh()).changes.map((change) => change.path)).toEqual(['d/c']);
  });

  test('is forgotten where it was undone before the next scan', async () => {
    const at = folder();
    const place = placing(at);
    const { tree } = openTree(at);
    value(await tree.refresh());
    const placed = value(await place({ changes: [put('f', fileOf('a'))] }));
    for (const one of placed.placed) tree.adopt(one.path, one.entry, one.identity);
    expect(tree.stat('f')?.mtime).toBe(T);
    fs.rmSync(join(at, 'f'));
    expect(value(await tree.refresh()).manifest.has('f')).toBe(false);
    expect(tree.stat('f')).toBeUndefined();
  });

  test('fills folders that nobody may write in, and changes what lies in them', async () => {
    const { helper: plain, uid } = plainHelper();
    const at = folder();
    if (root) fs.chownSync(at, uid, uid);
    const contentOf = stock();
    const go = (changes: Change[]): ReturnType<typeof placeChanges> =>
      placeChanges({ helper: plain, root: Buffer.from(at), changes, contentOf });
    value(
      await go([
        put('ro', dirOf(0o555)),
        put('ro/sub', dirOf(0o500)),
        put('ro/sub/f', fileOf('a', { mode: 0o400 })),
      ]),
    );
    expect(lookAt(at).get('ro')).toEqual(dirOf(0o555));
    value(await go([put('ro/sub/f', fileOf('b', { mode: 0o444 })), put('ro/new', fileOf('a'))]));
    const after = lookAt(at);
    expect(after.get('ro')).toEqual(dirOf(0o555));
    expect(after.get('ro/sub')).toEqual(dirOf(0o500));
    expect(after.get('ro/sub/f')).toEqual(fileOf('b', { mode: 0o444 }));
    value(await go(['ro/sub/f', 'ro/sub', 'ro/new', 'ro'].map((path) => ({ op: 'gone', path }))));
    expect([...lookAt(at).keys()]).toEqual(['']);
  });

  test('keeps holes', async () => {
    const at = folder();
    const big = join(folder(), 'big');
    const fd = fs.openSync(big, 'w');
    fs.writeSync(fd, 'head', 0);
    fs.writeSync(fd, 'tail', 300 * 1024 * 1024);
    fs.closeSync(fd);
    const hash = value(await hasher().hashFile(Buffer.from(big))).hash;
    const { size } = fs.statSync(big);
    const entry = { kind: 'file', mode: 0o644, size, mtime: T, hash } as const;
    value(
      await placeChanges({
        helper: helper(),
        root: Buffer.from(at),
        changes: [put('big', entry)],
        contentOf: () => Buffer.from(big),
      }),
    );
    const placed = fs.statSync(join(at, 'big'));
    expect(placed.size).toBe(size);
    expect(placed.blocks * 512).toBeLessThan(1024 * 1024);
    expect(value(await hasher().hashFile(Buffer.from(join(at, 'big')))).hash).toBe(hash);
  });

  test('shares the inode of a content only while mode and time are the same', async () => {
    const at = folder();
    const contentOf = stock();
    const changes = [
      put('a', fileOf('a')),
      put('b', fileOf('a')),
      put('c', fileOf('a', { mtime: T + 1n })),
      put('d', fileOf('a', { mode: 0o755 })),
    ];
    value(
      await placeChanges({
        helper: helper(),
        root: Buffer.from(at),
        changes,
        contentOf,
        linkOk: true,
      }),
    );
    const ino = (path: string): number => fs.statSync(join(at, path)).ino;
    expect(ino('a')).toBe(ino('b'));
    expect(ino('c')).not.toBe(ino('a'));
    expect(ino('d')).not.toBe(ino('a'));
    expect(lookAt(at).get('c')).toEqual(fileOf('a', { mtime: T + 1n }));
    expect(lookAt(at).get('d')).toEqual(fileOf('a', { mode: 0o755 }));
  });

  test('moves a content that may be spent, and copies it where a new file would be another', async () => {
    const at = folder();
    const place = placing(at);
    const store = folder();
    const kept = (text: string): string => join(store, text);
    for (const text of ['one', 'two', 'three']) fs.writeFileSync(kept(text), text, { mode: 0o600 });
    const name = new Map(
      ['one', 'two', 'three'].map((text) => [hashBytes(Buffer.from(text)), text]),
    );
    const options = {
      contentOf: (hash: string): Buffer => Buffer.from(kept(name.get(hash) ?? '')),
      spends: (): boolean => true,
      guard: (): 'absent' => 'absent',
      suffix: 'new',
    };
    const { ino } = fs.statSync(kept('one'));
    const clones = canClone(store);
    fs.writeFileSync(join(at, 'mine'), 'mine');
    fs.mkdirSync(join(at, 'group'), { mode: 0o755 });
    if (root) fs.chownSync(join(at, 'group'), 0, 7);
    fs.chmodSync(join(at, 'group'), 0o2755);
    const wished = { mode: 0o755, mtime: T + 3n };
    const placed = value(
      await place({
        ...options,
        changes: [
          put('a', fileOf('one', wished)),
          put('mine', fileOf('two', wished)),
          put('group/c', fileOf('three', wished)),
        ],
      }),
    );
    expect(lookAt(at).get('a')).toEqual(fileOf('one', wished));
    if (!clones) {
      expect(fs.statSync(join(at, 'a')).ino).toBe(ino);
      expect(placed.placed.find(({ path }) => path === 'a')?.identity.ino).toBe(BigInt(ino));
    }
    // What was here stays, and the content lies beside it.
    expect(placed.conflicts).toEqual([{ path: 'mine', kept: 'mine.rch-new' }]);
    expect(fs.readFileSync(join(at, 'mine'), 'utf8')).toBe('mine');
    expect(lookAt(at).get('mine.rch-new')).toEqual(fileOf('two', wished));
    expect(lookAt(at).get('group/c')).toEqual(fileOf('three', wished));
    // The group of the folder is for all that is made in it.
    if (root) expect(fs.statSync(join(at, 'group/c')).gid).toBe(7);
    if (root && !clones) expect(fs.readdirSync(store)).toEqual(['three']);
    expect(temporaries(at)).toEqual([]);
  });

  test('copies a content that may be spent and is elsewhere, shared, or of another size', async () => {
    const at = folder();
    const place = placing(at);
    const far = fs.mkdtempSync('/dev/shm/rch-place-');
    onTestFinished(() => {
      fs.rmSync(far, { recursive: true });
    });
    const one = join(far, 'one');
    fs.writeFileSync(one, 'one');
    const options = { contentOf: (): Buffer => Buffer.from(one), spends: (): boolean => true };
    value(await place({ ...options, changes: [put('a', fileOf('one'))] }));
    expect(lookAt(at).get('a')).toEqual(fileOf('one'));
    expect(fs.readFileSync(one, 'utf8')).toBe('one');
    const two = join(folder(), 'two');
    fs.writeFileSync(two, 'two', { mode: 0o600 });
    fs.linkSync(two, `${two}.other`);
    const shared = { ...options, contentOf: (): Buffer => Buffer.from(two) };
    value(await place({ ...shared, changes: [put('b', fileOf('two'))] }));
    expect(lookAt(at).get('b')).toEqual(fileOf('two'));
    expect(fs.statSync(two)).toMatchObject({ nlink: 2, size: 3 });
    expect(fs.statSync(two).mode & 0o777).toBe(0o600);
    const wrong = await place({ ...shared, changes: [put('c', fileOf('longer'))] });
    expect(wrong.ok).toBe(false);
    expect(fs.readFileSync(two, 'utf8')).toBe('two');
    expect(fs.existsSync(join(at, 'c'))).toBe(false);
  });

  test('needs no content for a file that only gets another time, and keeps its inode', async () => {
    const at = folder();
    const place = placing(at, ['one']);
    value(await place({ changes: [put('f', fileOf('one'))] }));
    const { ino } = fs.statSync(join(at, 'f'));
    const changes = [put('f', fileOf('one', { mtime: T + 7n, mode: 0o755 }))];
    const before = (): Entry => fileOf('one');
    expect(contentNeeded(changes, before).size).toBe(0);
    expect(contentNeeded(changes).size).toBe(1);
    const none = (): Buffer => Buffer.from('/nowhere');
    value(await place({ changes, before, contentOf: none }));
    expect(fs.statSync(join(at, 'f')).ino).toBe(ino);
    expect(lookAt(at).get('f')).toEqual(fileOf('one', { mtime: T + 7n, mode: 0o755 }));
  });
});

describe('a guard', () => {
  test('keeps what was changed here and puts the other version beside it', async () => {
    const at = folder();
    const place = placing(at, ['mine', 'theirs', 'same']);
    const { tree } = openTree(at);
    for (const name of ['edited', 'untouched', 'deleted']) fs.writeFileSync(join(at, name), 'same');
    await clockPasses();
    value(await tree.refresh());
    fs.writeFileSync(join(at, 'edited'), 'mine');
    fs.writeFileSync(join(at, 'new'), 'mine');
    fs.rmSync(join(at, 'deleted'));
    const names = ['deleted', 'edited', 'new', 'untouched'];
    const placed = value(
      await place({
        changes: names.map((name) => put(name, fileOf('theirs'))),
        guard: (path) => tree.stat(path) ?? 'absent',
        suffix: 'j1',
      }),
    );
    expect(placed.conflicts).toEqual(
      names.slice(0, 3).map((path) => ({ path, kept: `${path}.rch-j1` })),
    );
    const read = (name: string): string => fs.readFileSync(join(at, name), 'utf8');
    expect(['edited', 'new', 'untouched'].map(read)).toEqual(['mine', 'mine', 'theirs']);
    expect(names.slice(0, 3).map((name) => read(`${name}.rch-j1`))).toEqual(
      Array(3).fill('theirs'),
    );
    expect(fs.existsSync(join(at, 'deleted'))).toBe(false);
    expect(temporaries(at)).toEqual([]);
  });

  test('sees an edit of the same size, and one that only moved ctime', async () => {
    const at = folder();
    const place = placing(at, ['same', 'them']);
    const { tree } = openTree(at);
    fs.writeFileSync(join(at, 'f'), 'same');
    fs.utimesSync(join(at, 'f'), 1000, 1000);
    await clockPasses();
    value(await tree.refresh());
    fs.writeFileSync(join(at, 'f'), 'mine');
    fs.utimesSync(join(at, 'f'), 1000, 1000);
    const guard: PlaceOptions['guard'] = (path) => tree.stat(path) ?? 'absent';
    const placed = value(await place({ changes: [put('f', fileOf('them'))], guard, suffix: 'a' }));
    expect(placed.conflicts).toHaveLength(1);
    const gone = value(await place({ changes: [{ op: 'gone', path: 'f' }], guard }));
    expect(gone.conflicts).toEqual([{ path: 'f', kept: undefined }]);
    expect(fs.readFileSync(join(at, 'f'), 'utf8')).toBe('mine');
  });

  test('never removes a folder that holds more than was known', async () => {
    const at = folder();
    const place = placing(at);
    fs.mkdirSync(join(at, 'd'));
    fs.writeFileSync(join(at, 'd/new'), '');
    const gone = value(await place({ changes: [{ op: 'gone', path: 'd' }] }));
    expect(gone.conflicts).toEqual([{ path: 'd', kept: undefined }]);
    const typed = value(await place({ changes: [put('d', fileOf('a'))], suffix: 's' }));
    expect(typed.conflicts).toEqual([{ path: 'd', kept: 'd.rch-s' }]);
    expect(fs.existsSync(join(at, 'd/new'))).toBe(true);
    expect(temporaries(at)).toEqual([]);
  });

  test('keeps a whole folder beside what took its place here', async () => {
    const at = folder();
    const elsewhere = folder();
    const place = placing(at);
    fs.mkdirSync(join(at, 'd'));
    fs.symlinkSync(elsewhere, join(at, 'd/out'));
    fs.writeFileSync(join(at, 'd/file'), 'mine');
    const changes = [
      put('d/file', dirOf()),
      put('d/file/x', fileOf('a')),
      put('d/out/deep', dirOf(0o700)),
      put('d/out/deep/y', fileOf('b')),
    ];
    const placed = value(await place({ changes, guard: () => 'absent', suffix: 'j' }));
    expect(placed.conflicts.map(({ path, kept }) => `${path} > ${kept ?? ''}`)).toEqual([
      'd/file > d/file.rch-j',
      'd/file/x > d/file.rch-j/x',
      'd/out/deep > d/out.rch-j/deep',
      'd/out/deep/y > d/out.rch-j/deep/y',
    ]);
    expect(fs.readdirSync(elsewhere)).toEqual([]);
    expect(fs.readFileSync(join(at, 'd/file'), 'utf8')).toBe('mine');
    expect(fs.readFileSync(join(at, 'd/out.rch-j/deep/y'), 'utf8')).toBe('b');
  });

  test('lets go on with hard links although each moves the ctime of the others', async () => {
    const at = folder();
    const place = placing(at);
    const { tree } = openTree(at);
    fs.writeFileSync(join(at, 'a'), 'old');
    for (const name of ['b', 'c', 'd']) fs.linkSync(join(at, 'a'), join(at, name));
    value(await tree.refresh());
    const placed = value(
      await place({
        changes: [
          { op: 'gone', path: 'd' },
          put('a', fileOf('a')),
          put('b', { kind: 'hardlink', to: 'a' }),
          put('c', fileOf('b')),
        ],
        guard: (path) => tree.stat(path) ?? 'absent',
        suffix: 'j',
      }),
    );
    expect(placed.conflicts).toEqual([]);
    expect(lookAt(at).get('b')).toEqual({ kind: 'hardlink', to: 'a' });
    expect(lookAt(at).get('c')).toEqual(fileOf('b'));
  });

  test('gives further names when the one beside is taken, and cuts names that would be too long', async () => {
    const at = folder();
    const place = placing(at);
    const long = 'n'.repeat(255);
    for (const name of ['f', 'f.rch-j', long]) fs.writeFileSync(join(at, name), 'mine');
    const placed = value(
      await place({
        changes: [put('f', fileOf('a')), put(long, fileOf('b'))],
        guard: () => 'absent',
        suffix: 'j',
      }),
    );
    expect(placed.conflicts.map(({ kept }) => kept)).toEqual([
      'f.rch-j.1',
      `${long.slice(6)}.rch-j`,
    ]);
    expect(fs.readFileSync(join(at, 'f.rch-j'), 'utf8')).toBe('mine');
  });
});

describe('what must not be', () => {
  test.each(['', '1'])('a parent that is a symlink is refused (RCH_FS_WALK=%s)', async (walk) => {
    if (walk !== '') process.env['RCH_FS_WALK'] = walk;
    onTestFinished(() => {
      delete process.env['RCH_FS_WALK'];
    });
    const at = folder();
    const outside = folder();
    const place = placing(at);
    fs.writeFileSync(join(outside, 'victim'), 'safe');
    fs.symlinkSync(outside, join(at, 'link'));
    fs.symlinkSync(join(outside, 'victim'), join(at, 'file'));
    const failed = await place({ changes: [put('link/victim', fileOf('a'))] });
    expect(failed.ok ? '' : failed.failure.code).toMatch(/ELOOP|ENOTDIR/);
    expect((await place({ changes: [{ op: 'gone', path: 'link/victim' }] })).ok).toBe(true);
    const hard = put('q', { kind: 'hardlink', to: 'link/victim' });
    expect((await place({ changes: [hard] })).ok).toBe(false);
    expect((await place({ changes: [put('q', { kind: 'hardlink', to: 'file' })] })).ok).toBe(false);
    expect((await place({ changes: [put('link', dirOf(0o700))] })).ok).toBe(true);
    value(await place({ changes: [put('file', fileOf('b'))] }));
    expect(fs.lstatSync(join(at, 'link')).isDirectory()).toBe(true);
    expect(fs.readFileSync(join(outside, 'victim'), 'utf8')).toBe('safe');
    expect(fs.readdirSync(outside)).toEqual(['victim']);
    expect(fs.statSync(outside).mode & 0o777).toBe(0o700);
  });

  test('a path that leaves the root is not even looked at', async () => {
    const at = folder();
    const place = placing(join(at));
    for (const path of ['../x', '/tmp/x', 'a/../../x', './x', 'a//b']) {
      const failed = await place({ changes: [put(path, fileOf('a'))] });
      expect(reason(failed)).toMatch(/rch-fs ended/);
    }
    expect(fs.readdirSync(at)).toEqual([]);
  });

  test('a content of another size is not placed', async () => {
    const at = folder();
    const place = placing(at);
    const failed = await place({ changes: [put('f', { ...fileOf('a'), size: 2 } as Entry)] });
    expect(failed.ok ? '' : failed.failure.code).toBe('EBADMSG');
    expect(fs.readdirSync(at)).toEqual([]);
  });

  test.skipIf(!root)('a full disk leaves no half file, and what was there stays', async () => {
    const at = folder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at]);
    onTestFinished(() => {
      execFileSync('umount', [at]);
    });
    const big = 'z'.repeat(3 << 20);
    const place = placing(at, ['small', big]);
    value(await place({ changes: [put('f', fileOf('small')), put('d', dirOf(0o555))] }));
    const failed = await place({
      changes: [put('d/g', fileOf('a')), put('f', fileOf(big)), put('h', fileOf('a'))],
    });
    expect(failed.ok ? '' : failed.failure.code).toBe('ENOSPC');
    expect(reason(failed)).toContain('f cannot be written: no space left on device');
    expect(failed.ok ? [] : failed.failure.placed.placed.map((one) => one.path)).toEqual(['d/g']);
    expect(fs.readFileSync(join(at, 'f'), 'utf8')).toBe('small');
    expect(fs.existsSync(join(at, 'h'))).toBe(false);
    expect(lookAt(at).get('d')).toEqual(dirOf(0o555));
    expect(temporaries(at)).toEqual([]);
  });
});
