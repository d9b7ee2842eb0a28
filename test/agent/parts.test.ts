import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { endedCaches, isBelowAny, keptCaches } from '../../src/agent/caches.ts';
import { deniedPath, missingPaths } from '../../src/agent/denied.ts';
import { environmentChange, variable } from '../../src/agent/job-plan.ts';
import {
  bubblewrapArguments,
  planMounts,
  splitFolders,
  type Look,
} from '../../src/agent/mounts.ts';
import { Output } from '../../src/agent/output.ts';
import { databaseFor } from '../../src/agent/passwd.ts';
import { isPlainName, rootPathFault } from '../../src/agent/roots.ts';
import { Slots, type SlotWish } from '../../src/agent/slots.ts';
import { parseCpuList } from '../../src/base/cpus.ts';
import { Turns } from '../../src/agent/turns.ts';
import { MountFlag } from '../../src/protocol/run.ts';
import { dir, file, manifestOf } from '../rig/agent-peer.ts';

const never = new AbortController().signal;

test('output is kept until it is acknowledged, and told again from there', () => {
  const output = new Output();
  expect(output.add(Buffer.from('hello')).offset).toBe(0n);
  expect(output.add(Buffer.from(' world')).offset).toBe(5n);
  expect(output.acknowledge(3n)).toBe(3);
  expect(output.acknowledge(3n)).toBe(0);
  expect(output.acknowledge(1n)).toBe(0);
  expect(output.held().map(({ offset, data }) => [offset, data.toString()])).toEqual([
    [3n, 'lo'],
    [5n, ' world'],
  ]);
  expect(output.acknowledge(99n)).toBe(8);
  expect(output.held()).toEqual([]);
  expect(output.end).toBe(11n);
});

const wishFor = (slots: number, total: number, more: Partial<SlotWish> = {}): SlotWish => ({
  ...{ job: 'j', owner: 'w', slots, total, wished: slots },
  ...more,
});

test('slots are lent only while they are free, and give the CPUs that are used least', async () => {
  const record: string[] = [];
  const slots = new Slots([0, 1, 2, 3], (line) => record.push(line));
  const first = await slots.take(wishFor(2, 4), 0, never);
  const second = await slots.take(wishFor(2, 4), 0, never);
  expect(first?.affinity).toEqual([0, 1]);
  expect(second?.affinity).toEqual([2, 3]);
  expect(await slots.take(wishFor(1, 4), 0, never)).toBeUndefined();
  expect((await slots.take(wishFor(1, 5), 0, never))?.slots).toBe(1);
  if (first !== undefined) slots.give(first);
  expect([slots.used, slots.heldBy('w')]).toEqual([3, 3]);
  expect((await slots.take(wishFor(0, 5), 0, never))?.slots).toBe(1);
  expect(record).toEqual([
    'slots +2 for job j: 2 of 4 in use',
    'slots +2 for job j: 4 of 4 in use',
    'slots +1 for job j: 5 of 5 in use',
    'slots -2 of job j: 3 in use',
    'slots +1 for job j: 4 of 5 in use',
  ]);
});

test('a job is bound to as many CPUs as it has slots, but not one that takes a core at a time', async () => {
  const of = async (cpus: number[], wish: SlotWish): Promise<readonly number[] | undefined> =>
    (await new Slots(cpus).take(wish, 0, never))?.affinity;
  expect(await of([0, 1], wishFor(1, 2))).toEqual([]);
  // It would take two, and got one.
  expect(await of([0, 1], wishFor(1, 2, { wished: 2 }))).toEqual([0]);
  // More than there are: all there are, on every CPU.
  expect(await of([0, 1], wishFor(64, 8))).toEqual([]);
});

test('who waits for slots gets them in turn, the workstation first that holds the fewest', async () => {
  const slots = new Slots([0, 1]);
  const lent = await Promise.all([1, 2].map(() => slots.take(wishFor(1, 2), 0, never)));
  const order: string[] = [];
  const wait = async (owner: string): Promise<void> => {
    if ((await slots.take(wishFor(1, 2, { owner }), 60_000, never)) !== undefined)
      order.push(owner);
  };
  const waiting = [wait('w'), wait('w'), wait('other')];
  const impatient = new AbortController();
  const left = slots.take(wishFor(1, 2, { owner: 'gone' }), 60_000, impatient.signal);
  impatient.abort();
  expect(await left).toBeUndefined();
  for (const lease of lent) if (lease !== undefined) slots.give(lease);
  await Promise.all([waiting[0], waiting[2]]);
  expect(order).toEqual(['other', 'w']);
  expect(slots.used).toBe(2);
  expect(await slots.take(wishFor(1, 2), 1, never)).toBeUndefined();
  // The second of the three still waits, and goes with the next lease.
  slots.give({ job: 'j', owner: 'other', slots: 1, affinity: [] });
  await Promise.all(waiting);
});

test('CPU lists are read', () => {
  expect(parseCpuList('0-2,5,7-8\n')).toEqual([0, 1, 2, 5, 7, 8]);
  expect(parseCpuList('')).toEqual([0]);
  expect(parseCpuList('x')).toEqual([]);
});

test('turns are given in order, shared ones together, and a waiter who leaves is passed over', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const take = async (name: string, alone: boolean, signal = never): Promise<() => void> => {
    const turn = await turns.take(alone, signal);
    order.push(turn.ok ? name : `${name} left`);
    return turn.ok ? turn.value : () => undefined;
  };
  const a = await take('a', false);
  const b = await take('b', false);
  const given = new AbortController();
  const c = take('c', true);
  const d = take('d', true, given.signal);
  const e = take('e', false);
  expect(order).toEqual(['a', 'b']);
  given.abort();
  await d;
  a();
  b();
  b();
  (await c)();
  (await e)();
  expect(order).toEqual(['a', 'b', 'd left', 'c', 'e']);
  expect(turns.idle).toBe(true);
});

test('the user database names the caller and keeps the others of the worker', () => {
  const user = { name: 'al:ice', uid: 1000, gid: 100, group: 'users', home: '/home/alice' };
  const { passwd, group } = databaseFor(
    user,
    'root:x:0:0:root:/root:/bin/bash\nworker:x:1000:1000::/home/worker:/bin/sh\n',
    'root:x:0:\nusers:x:7:\nhundred:x:100:\n',
  );
  expect(passwd.toString()).toBe(
    'al_ice:x:1000:100::/home/alice:/bin/sh\nroot:x:0:0:root:/root:/bin/bash\n',
  );
  expect(group.toString()).toBe('users:x:100:\nroot:x:0:\n');
});

test('roots stand below / by plain paths and have plain keys', () => {
  expect(rootPathFault('/home/alice/p')).toBeUndefined();
  for (const path of ['/', 'p', '/a/../b', '/a//b', '/a/', '/proc', '/etc', '/a\0b'])
    expect(rootPathFault(path), path).toBeDefined();
  expect(isPlainName('0a-b_c.d')).toBe(true);
  for (const name of ['', '.', '..', '.x', 'a/b', 'a b', 'x'.repeat(200)])
    expect(isPlainName(name), name).toBe(false);
});

test('mounts come outermost first', () => {
  const mounts = planMounts({
    roots: [
      { source: '/t/2', path: '/home/a/p/sub', readOnly: true },
      { source: '/t/1', path: '/home/a/p', readOnly: false },
    ],
    temporaries: [
      { source: '/j/tmp', target: '/tmp', flags: 0 },
      { source: '/j/vartmp', target: '/var/tmp', flags: 0 },
    ],
    shims: '/j/shims',
    shimDir: '/home/a/.local/share/rch/shims',
  });
  expect(mounts.map(({ target, flags }) => [target, flags])).toEqual([
    ['/tmp', 0],
    ['/var/tmp', 0],
    ['/home/a/p', 0],
    ['/home/a/p/sub', MountFlag.readOnly],
    ['/home/a/.local/share/rch/shims', MountFlag.readOnly],
  ]);
});

const worker: Look = {
  exists: (path) =>
    ['/', '/home', '/home/worker', '/etc', '/etc/passwd', '/etc/localtime', '/usr'].includes(path),
  list: (path) =>
    path === '/'
      ? [
          { name: 'home', link: undefined },
          { name: 'bin', link: 'usr/bin' },
          { name: 'proc', link: undefined },
        ]
      : path === '/etc'
        ? [
            { name: 'passwd', link: undefined },
            { name: 'localtime', link: '../usr/zone' },
          ]
        : [{ name: 'worker', link: undefined }],
};

test('folders of the worker that lack a mount point are covered by one of ours', () => {
  expect(splitFolders(['/home/alice/p', '/data/p', '/home/worker/x'], worker)).toEqual([
    '/home',
    '/home/worker',
  ]);
});

test('bubblewrap gets the same view', () => {
  const argv = bubblewrapArguments(
    {
      program: '/usr/bin/bwrap',
      mounts: [{ source: '/w/t', target: '/home/alice/p', flags: 0 }],
      hide: ['/home/worker', '/nowhere'],
      files: [
        { source: '/j/passwd', path: '/etc/passwd' },
        { source: '/j/localtime', path: '/etc/localtime' },
      ],
      host: 'engine',
      uid: 1,
      gid: 2,
      network: false,
      runner: '/w/rch-run',
    },
    worker,
  ).join(' ');
  expect(argv).toContain('--unshare-net');
  expect(argv).toContain('--symlink usr/bin /bin');
  expect(argv).not.toContain('/proc /proc --ro');
  expect(argv).toContain('--tmpfs /home --ro-bind-try /home/worker /home/worker --tmpfs /etc');
  expect(argv).toContain('--bind /w/t /home/alice/p');
  expect(argv).not.toContain('/nowhere');
  expect(argv).toContain('--unshare-uts --hostname engine');
  expect(argv).toContain('--tmpfs /etc --ro-bind-try /etc/passwd /etc/passwd --tmpfs /home/worker');
  expect(argv).toContain('--ro-bind /j/localtime /etc/localtime');
  expect(argv.endsWith('--chdir / -- /.rch/rch-run')).toBe(true);
});

test('a cache outlives a sync unless the folder around it goes or something is sent into it', () => {
  const caches = ['target/debug/incremental'];
  const wanted = manifestOf({ target: dir(), 'target/debug': dir() });
  expect(keptCaches(wanted, caches)).toEqual(caches);
  expect(keptCaches(manifestOf({ target: dir() }), caches)).toEqual([]);
  const sent = manifestOf({
    target: dir(),
    'target/debug': dir(),
    'target/debug/incremental': dir(),
    'target/debug/incremental/x': file('x'),
  });
  expect(keptCaches(sent, caches)).toEqual([]);
  expect(endedCaches([{ op: 'gone', path: 'target' }], caches)).toEqual(caches);
  expect(endedCaches([{ op: 'gone', path: 'target/debug/x' }], caches)).toEqual([]);
  expect(endedCaches([{ op: 'put', path: 'target', entry: file('') }], caches)).toEqual(caches);
  expect(isBelowAny('target/debug/incremental/a', caches)).toBe(true);
  expect(isBelowAny('target/debug/incremental2', caches)).toBe(false);
});

test('a path that a tool was denied is found in what it said', () => {
  const inRoot = (path: string): boolean => path.startsWith('/p/');
  for (const [text, path] of [
    ["mkdir: cannot create directory '/opt/x': Read-only file system\n", '/opt/x'],
    [
      '/usr/bin/ld: cannot open output file /usr/lib/x.so: Read-only file system\n',
      '/usr/lib/x.so',
    ],
    ['error: failed to write `/etc/my conf`\n', ''],
    ['sh: 1: cannot create /p/x: Permission denied\n', ''],
    ['sh: 1: cannot create /etc/x: Permission denied\nmake: *** [all] Error 2\n', '/etc/x'],
    ['failed to create "/home/a/.cache/x" (os error 30)', '/home/a/.cache/x'],
    ["cp: cannot create regular file '../../out/x': Read-only file system\n", '/out/x'],
    ["make: Entering directory '/p/a/b'\nmkdir: ../../../q: Read-only file system\n", '/q'],
    ['touch: ../x: Permission denied\n', ''],
  ] as const)
    expect(
      deniedPath(text, {
        cwd: '/p/sub',
        resolved: (path) => posix.normalize(path),
        passes: inRoot,
      }),
      text,
    ).toBe(path);
});

test('paths that a tool did not find are told, also those that lead out of its project', () => {
  const told = (text: string): string[] =>
    missingPaths(text, {
      cwd: '/p',
      resolved: (path) => posix.normalize(path),
      passes: (path) => path.startsWith('/p/'),
    });
  expect(told('x.c:1:10: fatal error: ../o/deep.h: No such file or directory\n')).toEqual([
    '/o/deep.h',
  ]);
  expect(told('src/x.c:1:10: fatal error: ../../o/deep.h: No such file or directory\n')).toContain(
    '/o/deep.h',
  );
  expect(
    told(
      "make[1]: Entering directory '/p/a'\nmake[1]: ../../sib/m.mk: No such file or directory\n",
    ),
  ).toContain('/sib/m.mk');
  expect(told("error: couldn't read `src/../../sib/q.h`: No such file (os error 2)\n")).toEqual([
    '/sib/q.h',
  ]);
  expect(told("error: couldn't read `/p/../inc/t`: No such file (os error 2)\n")).toEqual([
    '/inc/t',
  ]);
  expect(told('cc: error: x.c: No such file or directory\n')).toEqual([]);
});

test('the environment of a caught program is told as its difference', () => {
  const before = ['A=1', 'B=2', 'PATH=/bin'].map((item) => Buffer.from(item));
  const after = ['A=1', 'B=3', 'C=4', 'PATH=/bin'].map((item) => Buffer.from(item));
  const change = environmentChange(before, after.slice(1));
  expect(change.set.map(String)).toEqual(['B=3', 'C=4']);
  expect(change.unset.map(String)).toEqual(['A']);
  expect(variable(before, 'PATH')).toBe('/bin');
  expect(variable(before, 'PAT')).toBeUndefined();
});
