import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkManifest, diff } from '../../src/tree/diff.ts';
import type { Change } from '../../src/tree/manifest.ts';
import { shown } from '../../src/tree/paths.ts';
import { placeChanges, removeLeftovers } from '../../src/tree/place.ts';
import type { Snapshot } from '../../src/tree/tree.ts';
import {
  at,
  clockPasses,
  folder,
  hasher,
  helper,
  lookAt,
  openTree,
  plainHelper,
  reason,
  sorted,
  usesHelper,
  value,
} from './rig.ts';

usesHelper();

const root = process.getuid?.() === 0;
const told = (changes: readonly Change[]): string[] =>
  changes.map((change) => `${change.op} ${change.path}`);

/** What a refresh says must agree with what plain means find. */
function agrees(snapshot: Snapshot, where: string): void {
  expect(sorted(snapshot.manifest)).toEqual(sorted(lookAt(where)));
  expect(checkManifest(snapshot.manifest).ok).toBe(true);
}

describe('a refresh', () => {
  test('finds every kind of thing, with names of any bytes and times to the nanosecond', async () => {
    const where = folder();
    fs.mkdirSync(at(where, 'd\n/\xff\xfe'), { recursive: true });
    fs.mkdirSync(at(where, 'empty'), { mode: 0o555 });
    fs.writeFileSync(at(where, 'd\n/\xff\xfe/q"\\'), 'x', { mode: 0o755 });
    fs.writeFileSync(at(where, 'Name'), '1');
    fs.writeFileSync(at(where, 'name'), '2');
    fs.symlinkSync(Buffer.from('../\xff nowhere', 'latin1'), at(where, 'link'));
    execFileSync('touch', ['-d', '2020-01-02 03:04:05.123456789', join(where, 'Name')]);
    execFileSync('touch', ['-hd', '2021-01-02 03:04:05.987654321', join(where, 'link')]);
    const { tree } = openTree(where);
    const snapshot = value(await tree.refresh());
    agrees(snapshot, where);
    const name = snapshot.manifest.get('Name');
    expect(name?.kind === 'file' && name.mtime % 1_000_000_000n).toBe(123_456_789n);
    expect(snapshot.bytes).toBe(3);
    const newest = Math.max(
      ...['', 'd\n', 'empty'].map((path) => fs.statSync(at(where, path)).mtimeMs),
    );
    expect(Number(snapshot.newest / 1_000_000n)).toBeGreaterThanOrEqual(Math.floor(newest));
    expect(told(snapshot.changes)).toEqual(told(diff(new Map(), snapshot.manifest)));
  });

  test('hashes nothing twice, and tells only what changed', async () => {
    const where = folder();
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(join(where, name), name);
    await clockPasses();
    const { tree, hasher: counted } = openTree(where);
    value(await tree.refresh());
    const again = value(await tree.refresh());
    expect(again.changes).toEqual([]);
    expect(counted.counts.files).toBe(3);
    fs.appendFileSync(join(where, 'b'), '!');
    fs.rmSync(join(where, 'c'));
    fs.mkdirSync(join(where, 'd/e'), { recursive: true });
    const after = value(await tree.refresh());
    expect(told(after.changes)).toEqual(['gone c', 'put ', 'put b', 'put d', 'put d/e']);
    expect(after.scanTime > again.scanTime).toBe(true);
    expect(counted.counts.files).toBe(4);
    agrees(after, where);
    expect(again.manifest.has('c')).toBe(true);
  });

  test('sees an edit of the same size under the same mtime', async () => {
    const where = folder();
    const file = join(where, 'f');
    fs.writeFileSync(file, 'one');
    fs.utimesSync(file, 1000, 1000);
    await clockPasses();
    const { tree } = openTree(where);
    value(await tree.refresh());
    fs.writeFileSync(file, 'two');
    fs.utimesSync(file, 1000, 1000);
    expect(told(value(await tree.refresh()).changes)).toEqual(['put f']);
  });

  test('sees every one of many edits that follow each other at once', async () => {
    const where = folder();
    const file = join(where, 'f');
    const { tree } = openTree(where);
    for (let n = 100; n < 160; n++) {
      fs.writeFileSync(file, String(n));
      agrees(value(await tree.refresh()), where);
    }
  });

  test('reads again what may have changed unseen, until it is old enough', async () => {
    const where = folder();
    const file = join(where, 'f');
    const { tree, hasher: counted } = openTree(where);
    let near = false;
    for (let n = 0; n < 100 && !near; n++) {
      fs.writeFileSync(file, String(n));
      const { scanTime } = value(await tree.refresh());
      const { files } = counted.counts;
      // On a busy machine the write may be old by the time of the scan: then try once more.
      near = scanTime - (tree.stat('f')?.ctime ?? 0n) < 20_000_000n;
      value(await tree.refresh());
      expect(counted.counts.files - files).toBe(near ? 1 : 0);
    }
    expect(near).toBe(true);
    await clockPasses();
    value(await tree.refresh());
    const { files } = counted.counts;
    value(await tree.refresh());
    expect(counted.counts.files).toBe(files);
  });

  test('reads a file again that changes while it is read', async () => {
    const where = folder();
    const file = join(where, 'f');
    fs.writeFileSync(file, Buffer.alloc(24 << 20, 'a'));
    const { tree } = openTree(where);
    const running = tree.refresh();
    let writes = 0;
    const fd = fs.openSync(file, 'r+');
    const timer = setInterval(() => {
      if (writes++ < 3) fs.writeSync(fd, `edit ${writes}`, writes * 1000);
    }, 4);
    const snapshot = value(await running);
    clearInterval(timer);
    fs.closeSync(fd);
    // Whatever state was taken, it is one that a moment had: the last, unless writes came after it.
    if (writes < 3) return;
    const last = value(await tree.refresh());
    agrees(last, where);
    if (last.changes.length === 0) agrees(snapshot, where);
  });

  test('takes a file that only grows as it was at one moment', async () => {
    const where = folder();
    const file = join(where, 'log');
    fs.writeFileSync(file, 'x'.repeat(3 << 20));
    const writer = spawn('sh', ['-c', `while :; do printf y >> '${file}'; done`]);
    onTestFinished(() => {
      writer.kill('SIGKILL');
    });
    const { tree } = openTree(where);
    const entry = value(await tree.refresh()).manifest.get('log');
    writer.kill('SIGKILL');
    expect(entry?.kind === 'file' && entry.size).toBeGreaterThanOrEqual(3 << 20);
  });

  test('lives with files and folders that vanish meanwhile', async () => {
    const where = folder();
    const { tree } = openTree(where);
    const busy = join(where, 'busy');
    const script = `cd '${where}'; while :; do mkdir -p busy/a/b; for i in 1 2 3 4 5 6 7 8 9; do echo $i > busy/a/b/$i; done; ln -s x busy/l; rm -rf busy; echo f > busy; rm -f busy; done`;
    const writer = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
    const group = -(writer.pid ?? 0);
    const ended = new Promise((done) => writer.on('close', done));
    for (let n = 0; n < 40; n++)
      expect(checkManifest(value(await tree.refresh()).manifest).ok).toBe(true);
    process.kill(group, 'SIGKILL');
    await ended;
    // What the shell had started may take a moment longer.
    for (;;) {
      try {
        process.kill(group, 0);
      } catch {
        break;
      }
      await clockPasses(5);
    }
    fs.rmSync(busy, { recursive: true, force: true });
    agrees(value(await tree.refresh()), where);
  });

  test('leaves out what cannot be carried, and lists it', async () => {
    const where = folder();
    execFileSync('mkfifo', [join(where, 'fifo')]);
    const server = createServer().listen(join(where, 'socket'));
    onTestFinished(() => {
      server.close();
    });
    await new Promise((done) => server.once('listening', done));
    fs.writeFileSync(join(where, '.rch-tmp-left'), '');
    if (root) execFileSync('mknod', [join(where, 'null'), 'c', '1', '3']);
    const { tree, helper: shared } = openTree(where);
    const snapshot = value(await tree.refresh());
    expect([...snapshot.manifest.keys()]).toEqual(['']);
    expect(snapshot.refused).toEqual([
      { path: 'fifo', what: 'fifo' },
      ...(root ? [{ path: 'null', what: 'device' }] : []),
      { path: 'socket', what: 'socket' },
    ]);
    expect(snapshot.leftovers).toEqual(['.rch-tmp-left']);
    fs.rmSync(join(where, 'fifo'));
    fs.writeFileSync(join(where, 'fifo'), 'now a file');
    const after = value(await tree.refresh());
    expect(after.manifest.get('fifo')?.kind).toBe('file');
    expect(after.refused.some(({ path }) => path === 'fifo')).toBe(false);
    // Its name is none that we give.
    value(await removeLeftovers(shared, tree.root, after.leftovers));
    expect(value(await tree.refresh()).leftovers).toEqual(['.rch-tmp-left']);
    expect(fs.existsSync(join(where, '.rch-tmp-left'))).toBe(true);
  });

  test('fails on what cannot be read, naming it, and recovers', async () => {
    const { helper: plain, uid } = plainHelper();
    const where = folder();
    fs.mkdirSync(join(where, 'd/closed'), { recursive: true });
    fs.writeFileSync(join(where, 'd/closed/f'), 'x');
    if (root) execFileSync('chown', ['-R', String(uid), where]);
    const { tree } = openTree(where, { helper: plain });
    agrees(value(await tree.refresh()), where);
    fs.chmodSync(join(where, 'd/closed'), 0o000);
    expect(reason(await tree.refresh())).toBe(
      'd/closed cannot be read: permission denied (EACCES)',
    );
    fs.chmodSync(join(where, 'd/closed'), 0o755);
    agrees(value(await tree.refresh()), where);
  });

  test('opens what is closed in a tree of ours, tells its true mode, and closes it again', async () => {
    const { helper: plain, uid } = plainHelper();
    const where = folder();
    const closed = { d: 0o311, 'd/e': 0, 'd/e/f': 0o600, 'd/names': 0o444 };
    for (const path of Object.keys(closed)) {
      fs.mkdirSync(join(where, path), { recursive: true });
      fs.writeFileSync(join(where, path, 'file'), path);
    }
    if (root) execFileSync('chown', ['-R', String(uid), where]);
    const open = lookAt(where);
    const close = (): void => {
      for (const [path, mode] of Object.entries(closed).reverse())
        fs.chmodSync(join(where, path), mode);
    };
    const modes = (): number[] =>
      Object.keys(closed).map((path) => fs.statSync(join(where, path)).mode & 0o7777);
    const { tree } = openTree(where, { helper: plain, own: true });
    value(await tree.refresh({ quiet: true }));
    close();
    const expected = new Map(open);
    for (const [path, mode] of Object.entries(closed)) {
      const entry = open.get(path);
      if (entry?.kind === 'dir') expected.set(path, { ...entry, mode });
    }
    const found = value(await tree.refresh({ quiet: true }));
    expect(sorted(found.manifest)).toEqual(sorted(expected));
    expect(told(found.changes)).toEqual(Object.keys(closed).map((path) => `put ${path}`));
    expect(fs.readFileSync(join(where, 'd/e/f/file'), 'utf8')).toBe('d/e/f');
    expect(modes()).not.toEqual(Object.values(closed));
    expect(value(await tree.refresh({ quiet: true })).changes).toEqual([]);
    await tree.closeFolders();
    if (root) expect(modes()).toEqual(Object.values(closed));
    expect(value(await tree.refresh({ quiet: true })).changes).toEqual([]);
    // One that was given another mode, and one that is another folder now, keep what they have.
    fs.chmodSync(join(where, 'd/names'), 0o750);
    tree.replaced('d/e');
    await tree.closeFolders();
    fs.chmodSync(join(where, 'd'), 0o755);
    expect(modes()).toEqual([0o755, 0o700, 0o600, 0o750]);
  });

  test('opens the root itself where that is closed', async () => {
    const { helper: plain, uid } = plainHelper();
    const where = folder();
    fs.writeFileSync(join(where, 'f'), 'x');
    if (root) execFileSync('chown', ['-R', String(uid), where]);
    fs.chmodSync(where, 0);
    const { tree } = openTree(where, { helper: plain, own: true });
    expect(value(await tree.refresh()).manifest.get('')).toMatchObject({ mode: 0 });
    await tree.closeFolders();
    expect(fs.statSync(where).mode & 0o7777).toBe(0);
    expect(value(await tree.refresh()).changes).toEqual([]);
  });

  test('fails with a reason where there is no root, and finds it when it comes', async () => {
    const where = join(folder(), 'not yet');
    const { tree } = openTree(where);
    expect(reason(await tree.refresh())).toContain('no such file or directory (ENOENT)');
    fs.mkdirSync(where);
    agrees(value(await tree.refresh()), where);
  });

  test('leaves out what it is told to skip, and takes only what it is told to take', async () => {
    const where = folder();
    for (const path of ['.rch/x', 'a/b/c', 'a/b.c', 'a/bc/d', 'registry/src/one/f', 'z'])
      execFileSync('sh', ['-c', `mkdir -p "$(dirname '${path}')" && touch '${path}'`], {
        cwd: where,
      });
    const skipping = openTree(where, { skip: ['.rch', 'a/b'] });
    expect([...value(await skipping.tree.refresh()).manifest.keys()].sort()).toEqual([
      '',
      'a',
      'a/b.c',
      'a/bc',
      'a/bc/d',
      'registry',
      'registry/src',
      'registry/src/one',
      'registry/src/one/f',
      'z',
    ]);
    const only = openTree(where, { only: ['registry/src/one', 'a/b', 'z', 'none/at/all'] });
    expect([...value(await only.tree.refresh()).manifest.keys()].sort()).toEqual([
      '',
      'a',
      'a/b',
      'a/b/c',
      'registry',
      'registry/src',
      'registry/src/one',
      'registry/src/one/f',
      'z',
    ]);
  });

  test('regroups hard links when the first name goes', async () => {
    const where = folder();
    fs.writeFileSync(join(where, 'b'), 'x');
    fs.linkSync(join(where, 'b'), join(where, 'c'));
    const outside = join(folder(), 'out');
    fs.linkSync(join(where, 'b'), outside);
    const { tree } = openTree(where);
    expect(value(await tree.refresh()).manifest.get('c')).toEqual({ kind: 'hardlink', to: 'b' });
    fs.linkSync(join(where, 'b'), join(where, 'a'));
    const more = value(await tree.refresh());
    agrees(more, where);
    expect(more.manifest.get('b')).toEqual({ kind: 'hardlink', to: 'a' });
    fs.rmSync(join(where, 'a'));
    agrees(value(await tree.refresh()), where);
    fs.appendFileSync(join(where, 'c'), 'y');
    const edited = value(await tree.refresh());
    expect(told(edited.changes)).toEqual(['put b', 'put c']);
    fs.rmSync(join(where, 'b'));
    agrees(value(await tree.refresh()), where);
  });

  test.skipIf(!root)('walks other file systems, but not those the kernel makes up', async () => {
    const where = folder();
    for (const name of ['tmp', 'proc']) fs.mkdirSync(join(where, name));
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(where, 'tmp')]);
    execFileSync('mount', ['-t', 'proc', 'proc', join(where, 'proc')]);
    onTestFinished(() => {
      execFileSync('umount', [join(where, 'tmp'), join(where, 'proc')]);
    });
    fs.writeFileSync(join(where, 'tmp/f'), 'x');
    const { tree } = openTree(where);
    const snapshot = value(await tree.refresh());
    expect([...snapshot.manifest.keys()].sort()).toEqual(['', 'tmp', 'tmp/f']);
    expect(snapshot.refused).toEqual([{ path: 'proc', what: 'mount' }]);
  });

  test('reaches beyond the longest path that open takes', async () => {
    const where = folder();
    const part = 'p'.repeat(200);
    const make = `i=0; while [ $i -lt 19 ]; do mkdir ${part} && cd -P ${part} || exit 1; i=$((i+1)); done; echo deep > ${'f'.repeat(255)}`;
    execFileSync('sh', ['-c', make], { cwd: where });
    const { tree } = openTree(where);
    const { manifest } = value(await tree.refresh());
    const path = part.concat('/').repeat(19) + 'f'.repeat(255);
    expect(where.length + path.length).toBeGreaterThan(4096);
    expect(manifest.get(path)).toMatchObject({ kind: 'file', size: 5 });
  });

  test('says so when a path is longer than any that is carried', async () => {
    const where = folder();
    const make = `for (let n = 0; n < 3000; n++) { fs.mkdirSync('d'); process.chdir('d'); }`;
    execFileSync(process.execPath, ['-e', make], { cwd: where });
    expect(reason(await openTree(where).tree.refresh())).toContain('longer than 4096 bytes');
  });
});

test('a file of 3 GB is hashed and carried without holding it in memory', async () => {
  const where = folder();
  const size = 3 * 2 ** 30;
  fs.writeFileSync(join(where, 'big'), '');
  fs.truncateSync(join(where, 'big'), size);
  fs.writeFileSync(join(where, 'big'), 'end', { flag: 'r+' });
  const { tree, helper: shared } = openTree(where);
  const { manifest, bytes } = value(await tree.refresh());
  expect(bytes).toBe(size);
  const entry = manifest.get('big');
  if (entry?.kind !== 'file') throw new Error('not a file');
  const copy = folder();
  value(
    await placeChanges({
      helper: shared,
      root: Buffer.from(copy),
      changes: [{ op: 'put', path: 'copy', entry }],
      contentOf: () => at(where, 'big'),
    }),
  );
  const placed = fs.statSync(join(copy, 'copy'));
  expect([placed.size, placed.blocks < 1000]).toEqual([size, true]);
});

describe('a restart', () => {
  test('hashes nothing again', async () => {
    const where = folder();
    const cacheFile = join(folder(), 'sub', 'cache');
    for (let n = 0; n < 50; n++) fs.writeFileSync(join(where, `\xff${n}`), String(n));
    fs.linkSync(join(where, '\xff1'), join(where, 'z'));
    await clockPasses();
    const first = openTree(where, { cacheFile });
    const before = value(await first.tree.refresh());
    expect(first.hasher.counts.files).toBe(50);
    await first.tree.close();
    fs.writeFileSync(join(where, '\xff2'), '3');
    const second = openTree(where, { cacheFile });
    const after = value(await second.tree.refresh());
    expect(second.hasher.counts.files).toBe(1);
    expect(told(diff(before.manifest, after.manifest))).toEqual(['put \xc3\xbf2']);
    agrees(after, where);
  });

  test('does not trust a cache file that is torn, foreign or damaged', async () => {
    const where = folder();
    const cacheFile = join(folder(), 'cache');
    fs.writeFileSync(join(where, 'f'), 'x');
    await clockPasses();
    const first = openTree(where, { cacheFile });
    value(await first.tree.refresh());
    await first.tree.close();
    const good = fs.readFileSync(cacheFile);
    const damaged = Buffer.from(good);
    damaged.writeUInt8(damaged.readUInt8(good.length - 1) ^ 1, good.length - 1);
    for (const bad of [good.subarray(0, -1), damaged, Buffer.from('RCHSTAT1'), Buffer.alloc(0)]) {
      fs.writeFileSync(cacheFile, bad);
      const opened = openTree(where, { cacheFile });
      value(await opened.tree.refresh());
      expect(opened.hasher.counts.files).toBe(1);
    }
  });

  test('of the helper is noticed by nobody', async () => {
    const where = folder();
    fs.mkdirSync(join(where, 'd'));
    fs.writeFileSync(join(where, 'd/f'), 'x');
    fs.writeFileSync(join(where, 'g'), 'x');
    await clockPasses();
    const first = helper();
    const { tree, hasher: counted } = openTree(where, { helper: first });
    value(await tree.refresh());
    const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)], {
      encoding: 'utf8',
    });
    const pid = Number(/(\d+) \S*fs-c/.exec(children)?.[1]);
    process.kill(pid, 'SIGKILL');
    const lost = await tree.refresh();
    if (!lost.ok) expect(lost.failure.reason).toContain('rch-fs ended (SIGKILL)');
    fs.rmSync(join(where, 'd'), { recursive: true });
    const after = value(await tree.refresh());
    agrees(after, where);
    expect(counted.counts.files).toBe(2);
  });
});

test('a tree of 20,000 files is told whole, and then at once', async () => {
  const where = folder();
  for (let n = 0; n < 20_000; n++) {
    if (n % 200 === 0) fs.mkdirSync(join(where, `d${n / 200}`));
    fs.writeFileSync(join(where, `d${Math.floor(n / 200)}`, `file-${n}`), `content ${n}`);
  }
  const { tree } = openTree(where, { hasher: hasher() });
  const first = value(await tree.refresh());
  expect(first.manifest.size).toBe(20_101);
  await clockPasses();
  value(await tree.refresh());
  expect(value(await tree.refresh()).changes).toEqual([]);
});

test('a path is shown as text, with what is no text in hexadecimal', () => {
  expect(shown(Buffer.from('gr\u00fcn').toString('latin1'))).toBe('gr\u00fcn');
  expect(shown('a\xff\nb')).toBe('a\\xff\\x0ab');
});
