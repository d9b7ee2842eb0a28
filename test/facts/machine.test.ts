import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ask } from '../../src/facts/answer.ts';
import { parseGlibc, parseMusl } from '../../src/facts/libc.ts';
import { MachineProbe, parseCpu, parseOsRelease } from '../../src/facts/machine.ts';
import { parseApk, parseDpkg, parseTabbed } from '../../src/facts/packages.ts';
import { filesAt, linksAt, shadows } from '../../src/facts/files.ts';
import { isCompiler, ToolBox } from '../../src/facts/tools.ts';
import { machineFacts as schema } from '../../src/protocol/facts.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-facts-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function script(name: string, body: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

test('the facts of this machine are whole and valid', async () => {
  const path = process.env['PATH'] ?? '';
  const facts = await new MachineProbe().take(['sh', 'no-such-tool', '/etc'], { path, folder });
  expect(facts.paths).toEqual({ '/etc': true });
  expect(schema.safeParse(facts).success).toBe(true);
  expect(facts.arch).toBe(execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim());
  expect(facts.libc).toMatch(/^(glibc|musl) \d+\.\d+/);
  expect(facts.cores).toBeGreaterThan(0);
  expect(facts.diskFree).toBeGreaterThan(0);
  expect(facts.cpuFlags).toEqual([...facts.cpuFlags].sort());
  expect(facts.tools.map((tool) => tool.name)).not.toContain('no-such-tool');
});

test('a compiler is described by its first line, its full version and its target', async () => {
  script(
    'x86_64-linux-gnu-gcc-12',
    `case "$*" in --version) echo "gcc (Made 12.2.0-1) 12.2.0"; echo more;;
     "-dumpfullversion -dumpversion") echo 12.2.0;; -dumpmachine) echo x86_64-linux-gnu;; esac`,
  );
  const tools = await new ToolBox().take(['x86_64-linux-gnu-gcc-12'], { path: folder, skip: [] });
  expect(tools).toEqual([
    {
      name: 'x86_64-linux-gnu-gcc-12',
      path: join(folder, 'x86_64-linux-gnu-gcc-12'),
      version: 'gcc (Made 12.2.0-1) 12.2.0 [12.2.0]',
      target: 'x86_64-linux-gnu',
    },
  ]);
});

test('a tool is asked once, and again when its file changes', async () => {
  const path = `${folder}:/usr/bin:/bin`;
  const log = join(folder, 'log');
  const tool = script('made', `echo asked >> ${log}; echo 1.0`);
  const box = new ToolBox();
  await box.take(['made'], { path, skip: [] });
  await box.take(['made'], { path, skip: [] });
  expect(execFileSync('wc', ['-l', log], { encoding: 'utf8' })).toMatch(/^1 /);
  script('made', `echo asked >> ${log}; echo 2.00`);
  utimesSync(tool, 1, 1);
  const [after] = await box.take(['made'], { path, skip: [] });
  expect(after?.version).toBe('2.00');
});

test('a tool that is replaced, comes or goes gives another mark, and nothing else does', async () => {
  const probe = new MachineProbe();
  const mark = (): Promise<string> => probe.mark(['made', '/etc'], { path: folder });
  const none = await mark();
  script('made', 'echo 1.0');
  const there = await mark();
  script('beside', 'echo 1.0');
  expect(await mark()).toBe(there);
  script('made', 'echo 2.00');
  expect(new Set([none, there, await mark()]).size).toBe(3);
  rmSync(join(folder, 'made'));
  expect(await mark()).toBe(none);
});

test('the shim folder is skipped, and a file that cannot be executed is no tool', async () => {
  script('made', 'echo shim');
  const other = mkdtempSync(join(folder, 'other-'));
  symlinkSync(script('real', 'echo real'), join(other, 'made'));
  const plain = mkdtempSync(join(folder, 'plain-'));
  writeFileSync(join(plain, 'made'), 'text');
  chmodSync(join(plain, 'made'), 0o644);
  const path = `${folder}/:${plain}:${other}`;
  const [found] = await new ToolBox().take(['made'], { path, skip: [folder] });
  expect(found?.version).toBe('real');
});

test('a tool that never answers is given up at the deadline with all it started', async () => {
  const hung = script('hung', `sleep 1000 & echo $! > ${folder}/pid; wait`);
  // On a loaded machine it may not have begun by then.
  for (let deadline = 300; !existsSync(join(folder, 'pid')); deadline *= 2) {
    const answer = await ask([hung], { path: process.env['PATH'] ?? '', deadline });
    expect(answer).toBeUndefined();
  }
  const pid = Number(execFileSync('cat', [join(folder, 'pid')], { encoding: 'utf8' }));
  const gone = (): boolean => {
    try {
      process.kill(pid, 0);
      return execFileSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' }).includes(') Z');
    } catch {
      return true;
    }
  };
  await expect.poll(gone).toBe(true);
});

test('a tool that fails, is missing or dies of a signal gives no answer but no error', async () => {
  const options = { path: folder };
  expect(await ask(['no-such'], options)).toBeUndefined();
  expect(await ask([script('dies', 'kill -9 $$')], options)).toBeUndefined();
  expect((await ask([script('fails', 'exit 3')], options))?.exit).toBe(3);
});

test('a probe reads no input and speaks the C locale', async () => {
  const asks = script('asks', 'read line; echo "[$line] $LC_ALL $RCH_BYPASS"');
  expect((await ask([asks], { path: folder }))?.stdout).toBe('[] C 1\n');
});

test('compilers are known by their names', () => {
  for (const name of ['gcc', 'cc', 'g++-12', 'c++', 'clang', 'clang++-16', 'aarch64-linux-gnu-gcc'])
    expect(isCompiler(name), name).toBe(true);
  for (const name of ['gcov', 'cargo', 'make', 'ccache', 'gcc-ar'])
    expect(isCompiler(name), name).toBe(false);
});

test('dpkg lists name foreign architectures and leave out what is not installed', () => {
  const text =
    'dpkg\tamd64\t1.21\tinstalled\nlibc6\tamd64\t2.36\tinstalled\nlibc6\ti386\t2.36\tinstalled\n' +
    'tzdata\tall\t2024\tinstalled\nold\tamd64\t1\tconfig-files\n';
  expect(parseDpkg(text)).toEqual({
    dpkg: '1.21',
    libc6: '2.36',
    'libc6:i386': '2.36',
    tzdata: '2024',
  });
});

test('rpm, pacman and apk lists are read', () => {
  expect(parseTabbed('kernel.x86_64\t2-1\nkernel.x86_64\t1-1\nglibc.x86_64\t2.39\n')).toEqual({
    'kernel.x86_64': '1-1,2-1',
    'glibc.x86_64': '2.39',
  });
  expect(parseTabbed('gcc 14.1-1\n')).toEqual({ gcc: '14.1-1' });
  expect(parseApk('C:Q1\nP:musl\nV:1.2.4-r2\n\nP:gcc\nV:13\n')).toEqual({
    musl: '1.2.4-r2',
    gcc: '13',
  });
});

test('C libraries are told apart', () => {
  expect(parseMusl('musl libc (x86_64)\nVersion 1.2.4\nDynamic')).toBe('musl 1.2.4');
  expect(parseGlibc('ldd (Debian GLIBC 2.36-9+deb12u10) 2.36\nCopyright')).toBe('glibc 2.36');
  expect(parseGlibc('ld.so (Ubuntu GLIBC 2.39-0ubuntu8) stable release version 2.39.\n')).toBe(
    'glibc 2.39',
  );
  expect(parseGlibc('nonsense 1.2')).toBeUndefined();
});

test('os-release and cpuinfo are read', () => {
  expect(parseOsRelease('ID=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')).toBe(
    'Debian GNU/Linux 12 (bookworm)',
  );
  expect(parseOsRelease('')).toBe('');
  expect(
    parseCpu('processor : 0\nmodel name\t: Made 1\nflags\t: sse avx\n\nprocessor : 1\n'),
  ).toEqual({
    model: 'Made 1',
    flags: ['avx', 'sse'],
  });
});

test('files are told of by path, by where links lead', async () => {
  symlinkSync('/nonexistent', join(folder, 'dangling'));
  symlinkSync('/etc', join(folder, 'etc'));
  const [dangling, etc] = [join(folder, 'dangling'), join(folder, 'etc')];
  expect(await filesAt([dangling, etc, '/nonexistent/x'])).toEqual({
    [dangling]: false,
    [etc]: true,
    '/nonexistent/x': false,
  });
  symlinkSync(etc, join(folder, 'again'));
  const again = join(folder, 'again');
  expect(await linksAt([dangling, etc, again, '/etc', '/nonexistent/x'])).toEqual({
    [etc]: '/etc',
    [again]: '/etc',
  });
});

test('what in /usr/local hides a header or a library of a package is told, and nothing else', async () => {
  for (const name of ['include/sys', 'include/rch-node', 'lib/node_modules', 'lib/python3'])
    mkdirSync(join(folder, name), { recursive: true });
  for (const name of ['include/stdio.h', 'include/rch-own.h', 'lib/libc.so.6', 'lib/librch.so'])
    writeFileSync(join(folder, name), '12');
  expect(await shadows(folder)).toEqual([
    `${folder}/include/stdio.h 2`,
    // Debian has it in a folder of the architecture.
    `${folder}/include/sys/`,
    `${folder}/lib/libc.so.6 2`,
  ]);
  expect(await shadows('/nonexistent')).toEqual([]);
});
