import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { tarHeader, writeArchive } from '../../../daemon/transport/archive.ts';
import { skipTo } from '../../../daemon/transport/marker.ts';
import { shellCommand } from '../../../daemon/transport/quote.ts';
import { networkFailure } from '../../../daemon/transport/ssh.ts';
import { parseJump, settingsFrom } from '../../../daemon/transport/ssh-settings.ts';
import { unpackScript } from '../../../daemon/transport/upload.ts';
import { glibcVersion, parseProbe, probeScript } from '../../../daemon/transport/worker-shell.ts';
import { failureOf, valueOf } from './standin.ts';

test('every script of ours passes any login shell unharmed', () => {
  const hash = 'f'.repeat(32);
  const archive = { hash, path: '/a', bytes: 40_000_000 };
  for (const script of [
    probeScript({ hash, nodeHash: hash }),
    unpackScript('agents', archive),
    unpackScript('node', archive),
  ])
    expect(shellCommand(script)).toBe(`/bin/sh -c '${script}'`);
  for (const bad of ["a'b", 'a\\b', 'a!b', 'a\nb']) expect(() => shellCommand(bad)).toThrow();
});

test('the answer of a worker is read by its keys', () => {
  const worker = parseProbe(
    'folder /h/a b/.cache/rch-wkr\narch x86_64\nlibc glibc 2.36\nnode v18.1.0\nwritable\ndisk /dev/a b 100 50 40 56% /home\ninodes /dev/a b 90 60 30 67% /home\n',
  );
  expect(worker).toEqual({
    ready: false,
    hasNode: false,
    nodeMajor: 18,
    arch: 'x86_64',
    libc: 'glibc 2.36',
    freeBytes: 40 * 1024,
    freeInodes: 30,
    missing: [],
    writable: true,
    folder: '/h/a b/.cache/rch-wkr',
  });
});

test('the glibc version is found in what getconf and ldd print', () => {
  expect(glibcVersion('glibc 2.36')).toEqual([2, 36]);
  expect(glibcVersion('ldd (Debian GLIBC 2.36-9+deb12u10) 2.36')).toEqual([2, 36]);
  expect(glibcVersion('ldd (Ubuntu GLIBC 2.31-0ubuntu9.9) 2.31')).toEqual([2, 31]);
  expect(glibcVersion('ldd (GNU libc) 2.17')).toEqual([2, 17]);
  expect(glibcVersion('musl libc (x86_64)')).toBeUndefined();
  expect(glibcVersion('')).toBeUndefined();
});

test('jumps are read as ssh reads them', () => {
  expect(parseJump('me@far:2200')).toEqual({ host: 'far', port: 2200, user: 'me' });
  expect(parseJump('far')).toEqual({ host: 'far' });
  expect(parseJump('ssh://me@[::1]:22/')).toEqual({ host: '::1', port: 22, user: 'me' });
});

test('the settings of ssh are read with lists, tokens and none', () => {
  const settings = settingsFrom(
    'hostname far.example\nuser me\nport 2222\nidentityfile /k/%r-%h\nidentityfile none\nproxyjump none\n' +
      'userknownhostsfile /a /b\nglobalknownhostsfile /c\nproxycommand none\nidentityagent none\nidentitiesonly yes\n',
    { host: 'far' },
  );
  expect(settings).toMatchObject({
    keyName: '[far.example]:2222',
    identities: ['/k/me-far.example'],
    jumps: [],
    proxyCommand: undefined,
    agent: undefined,
    identitiesOnly: true,
    knownHostsFiles: ['/a', '/b', '/c'],
  });
});

test('the identity that was chosen comes first, also where ssh leaves it out as it is not there', () => {
  const of = (listed: string): readonly string[] =>
    settingsFrom(`hostname far\nuser me\nidentityfile ${listed}\n`, {
      host: 'far',
      identityFile: '/k/mine',
    }).identities;
  expect(of('/usual')).toEqual(['/k/mine', '/usual']);
  expect(of('/k/mine')).toEqual(['/k/mine']);
});

test('each way a network fails has its own words', () => {
  const settings = settingsFrom('hostname far\nport 22\n', { host: 'far' });
  const words = (code: string): string =>
    failureOf(networkFailure(Object.assign(new Error(code), { code }), settings));
  expect(words('ENOTFOUND')).toContain('cannot be resolved');
  expect(words('ECONNREFUSED')).toContain('refuses connections');
  expect(words('ETIMEDOUT')).toContain('does not answer');
  expect(words('EHOSTUNREACH')).toContain('no way to');
});

test('the bytes before a marker are given, those after it stay, also when it comes in pieces', async () => {
  const stream = new PassThrough();
  const found = skipTo(stream, Buffer.from('MARK'), { ms: 1000 });
  stream.write('noise MA');
  stream.write('RKrest');
  expect(valueOf(await found)).toBe('noise ');
  expect(String(stream.read())).toBe('rest');
});

test('noise without end and a stream that ends are failures that show what came', async () => {
  const loud = new PassThrough();
  const failed = skipTo(loud, Buffer.from('MARK'), { ms: 1000 });
  loud.write('z'.repeat(70_000));
  expect(failureOf(await failed)).toContain('zzz');
  const ended = new PassThrough();
  const over = skipTo(ended, Buffer.from('MARK'), { ms: 1000 });
  ended.end('This account is not available');
  expect(failureOf(await over)).toContain('This account is not available');
});

test('an archive of ours is unpacked by tar with names, modes and contents', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rch-archive-'));
  try {
    const path = join(folder, 'a.tar.gz');
    const text = 'x'.repeat(1000);
    await writeArchive(path, [
      { name: 'sub/', mode: 0o700, content: 'folder' },
      { name: 'sub/run', mode: 0o755, content: { text } },
      { name: 'empty', mode: 0o600, content: { text: '' } },
    ]);
    const listed = execFileSync('tar', ['-tvzf', path], { encoding: 'utf8' });
    expect(listed).toMatch(/^drwx------ .* sub\/$/m);
    expect(listed).toMatch(/^-rwxr-xr-x .* 1000 .* sub\/run$/m);
    execFileSync('tar', ['-xzf', path, '-C', folder]);
    expect(execFileSync('cat', [join(folder, 'sub', 'run')], { encoding: 'utf8' })).toBe(text);
    expect(() => tarHeader({ name: 'n'.repeat(101), mode: 0, content: 'folder' }, 0)).toThrow();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
