import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  absentNames,
  folderWith,
  has,
  machine,
  newContext,
  packageNames,
  planned,
  put,
  reasonOf,
  rootPaths,
  toolNames,
} from './world.ts';

const hello = '#include <stdio.h>\nint main(void){puts("hi");return 0;}\n';

describe.skipIf(!has('gcc'))('a compiler call', () => {
  it('takes the project, and asks for the compiler and its packages', async () => {
    const cwd = folderWith({ Makefile: '', 'src/a.c': hello });
    const plan = await planned('gcc -O2 -c src/a.c -o src/a.o', { cwd });
    expect(rootPaths(plan)).toEqual([cwd]);
    expect(plan.roots[0]).toMatchObject({ policy: 'project', skip: ['.rch'], only: [], cold: [] });
    expect(toolNames(plan)).toEqual(['gcc']);
    if (machine.packageManager === 'dpkg') expect(packageNames(plan)).toContain('libc6-dev');
  });

  it('is too small to gain when the source is tiny, and not when it is C++', async () => {
    const cwd = folderWith({ 'a.c': hello, 'a.cpp': '#include <iostream>\n' });
    expect((await planned('gcc -c a.c', { cwd })).tooSmall).toContain('too little');
    expect((await planned('g++ -c a.cpp', { cwd })).tooSmall).toBeUndefined();
  });

  it('carries folders outside the project read-only, from their own project root on', async () => {
    const other = folderWith({ Makefile: '', 'include/o.h': '', 'include/../src/deep.h': '' });
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    const plan = await planned(`gcc -I${other}/include -c a.c`, { cwd });
    expect(rootPaths(plan, 'readOnly')).toEqual([other]);
    expect(rootPaths(plan, 'project')).toEqual([cwd]);
  });

  it.each([
    ['gcc -c a.c -DM="../sib/m.h"', { 'p/a.c': '#include M\n' }],
    ['gcc -c src/a.c -D M=<../../sib/m.h>', { 'p/src/a.c': '#include M\n' }],
    ['gcc -c @args', { 'p/a.c': '#include M\n', 'p/args': '-DM=\\"../sib/m.h\\" a.c\n' }],
    [
      'gcc -Iinc/deep -c a.c',
      { 'p/a.c': '#define Q <../../../sib/m.h>\n#include Q\n', 'p/inc/deep/x.h': '' },
    ],
    ['gcc u.c s.ld', { 'p/u.c': hello, 'p/s.ld': 'INCLUDE ../sib/more.ld\n' }],
    [
      'gcc u.c -T sub/s.ld',
      { 'p/u.c': hello, 'p/sub/s.ld': 'INCLUDE part\n', 'p/sub/part': 'INPUT(../../sib/m.o)' },
    ],
    ['gcc u.c -Wl,-T,s.ld', { 'p/u.c': hello, 'p/s.ld': 'GROUP(AS_NEEDED(../sib/m.o))\n' }],
    [
      'make',
      { 'p/Makefile': 'a:\n\tcc u.c -Tsub/s.ld\n', 'p/sub/s.ld': 'INCLUDE ../../sib/more.ld\n' },
    ],
    [
      'ninja',
      {
        'p/build.ninja': 'rule l\n  command = cc u.c -T s.ld\nbuild a: l\n',
        'p/s.ld': 'INPUT(../sib/m.o)\n',
      },
    ],
  ])('carries what is named beside the project in plain sight: %s', async (line, files) => {
    const top = folderWith({
      'p/.git/HEAD': 'ref: x\n',
      'sib/m.h': '',
      'sib/m.o': '',
      'sib/more.ld': '',
      ...files,
    });
    mkdirSync(`${top}/p/.git/objects`);
    mkdirSync(`${top}/p/.git/refs`);
    const plan = await planned(line, { cwd: `${top}/p` });
    expect(rootPaths(plan, 'readOnly')).toEqual([`${top}/sib`]);
  });

  it('carries nothing for what a flag names that is not there, or lies in the project', async () => {
    const top = folderWith({ 'p/Makefile': '', 'p/a.c': hello, 'p/x.h': '', 'sib/m.h': '' });
    const line = 'gcc -c a.c -DA=../none -DB=../p/x.h -DC=.. -DD="../" -UE=../sib/m.h';
    expect(rootPaths(await planned(line, { cwd: `${top}/p` }))).toEqual([`${top}/p`]);
  });

  it('carries the headers alone of what is installed in a folder of a project', async () => {
    const other = folderWith({
      '.git/HEAD': 'ref: refs/heads/main\n',
      'versions/3/bin/python': '',
      'versions/3/include/python/Python.h': '',
      'versions/3/lib/big': '',
    });
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    const plan = await planned(`gcc -I${other}/versions/3/include/python -c a.c`, { cwd });
    expect(rootPaths(plan, 'readOnly')).toEqual([`${other}/versions/3/include`]);
  });

  it('reads an @file that is for the linker', async () => {
    const cwd = folderWith({ Makefile: '', 'a.o': '', args: 'a.o lib/b.o\n', 'lib/b.o': '' });
    await planned('gcc -Wl,--as-needed,@args -o a', { cwd });
    expect(await reasonOf('gcc -Wl,@missing -o a', { cwd })).toContain('@file');
  });

  it('follows symlinks out of the project', async () => {
    const other = folderWith({ Makefile: '', 'inc/o.h': '' });
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    symlinkSync(`${other}/inc`, `${cwd}/inc`);
    const plan = await planned('gcc -Iinc -c a.c', { cwd });
    expect(rootPaths(plan, 'readOnly')).toEqual([other]);
  });

  it('keeps $PWD, when that is a symlink, as a root of one entry', async () => {
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    const beside = folderWith({});
    symlinkSync(cwd, `${beside}/link`);
    const plan = await planned('gcc -g -c a.c', { cwd, env: { PWD: `${beside}/link` } });
    expect(plan.roots).toContainEqual({
      path: beside,
      policy: 'readOnly',
      skip: [],
      only: ['link'],
      cold: [],
    });
  });

  it.each([
    ['gcc -c missing.c', 'not there'],
    ['gcc -c a.c -o /usr/lib/a.o', 'outside the project'],
    ['gcc -c a.c -o /tmp/rch-no-such/a.o', 'outside the project'],
    ['gcc -c a.c -MD -MF /var/tmp/a.d', 'outside the project'],
    ['gcc -c a.c -MMD -o /dev/null', '/dev/null.d would be written'],
    ['gcc @args.rsp', 'no input'],
  ])('%s stays here: %s', async (line, reason) => {
    const cwd = folderWith({ Makefile: '', 'a.c': hello, 'args.rsp': '' });
    expect(await reasonOf(line, { cwd })).toContain(reason);
  });

  it('stays here where a FIFO is read or written, and never waits for its other end', async () => {
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    execFileSync('mkfifo', [`${cwd}/p`, `${cwd}/q.c`]);
    for (const line of ['gcc -S a.c -o p', 'gcc -c q.c', 'gcc -c a.c -include p', 'make -f p all'])
      expect(await reasonOf(line, { cwd })).toMatch(/is a FIFO|read but once/);
  });

  it('stays here where a link that leads nowhere yet leads out of the project', async () => {
    const other = folderWith({});
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    symlinkSync(`${other}/a.o`, `${cwd}/out.o`);
    symlinkSync('own.o', `${cwd}/in.o`);
    expect(await reasonOf('gcc -c a.c -o out.o', { cwd })).toContain('outside the project');
    expect((await planned('gcc -c a.c -o in.o', { cwd })).outputs).toEqual([`${cwd}/own.o`]);
  });

  it.each([
    '-fdump-tree-original=OUT/x.orig',
    '-O2 -fopt-info-all=OUT/opt.txt',
    '-fstack-usage -dumpdir OUT/',
    '-save-temps -dumpbase OUT/x',
    '-Wa,--MD,OUT/a.d',
    '-Wa,-I,OUT',
    '-Xassembler -IOUT',
    '-Xpreprocessor -MMD -Xpreprocessor OUT/z.d',
    '-Wl,--format=binary,OUT/data.bin',
    '-Wl,--reproduce=OUT/r.tar',
    '-iprefix OUT/ -iwithprefix inc',
    '-Xclang -dependency-file -Xclang OUT/x.d',
    '-gen-cdb-fragment-path OUT',
  ])('stays here where a word that is for others names what lies outside: %s', async (words) => {
    const out = folderWith({ 'data.bin': '' });
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    const line = `gcc a.c ${words.replaceAll('OUT', out)}`;
    expect(await reasonOf(line, { cwd })).toContain('which lies outside the project');
  });

  it.each([
    '-fdebug-prefix-map=OUT=/x -ffile-prefix-map=OUT=.',
    '-Wl,-rpath,OUT -Wl,-soname,OUT/x.so',
    '-fprofile-generate=OUT/prof -frandom-seed=OUT/x',
    '-MMD -Wp,-MMD,x.d,-MT,OUT/x.o',
    '-IOUT -Wa,-I,OUT',
    '-fplugin-arg-x=/usr/include/stdio.h -Wa,-I,/nowhere/at/all',
  ])('goes where paths outside are only told, or carried: %s', async (words) => {
    const out = folderWith({ Makefile: '' });
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    await planned(`gcc a.c ${words.replaceAll('OUT', out)}`, { cwd });
  });

  it('follows includes by absolute paths, in the project and beside it', async () => {
    const other = folderWith({ Makefile: '', 'o.h': '', 'bytes.bin': '' });
    const cwd = folderWith({ Makefile: '', 'u.cxx': '#include <rch-none.h>\n' });
    const bytes = `asm(".incbin \\"${other}/bytes.bin\\"");\n`;
    const plain = (text: string): string => `${text}${bytes}`;
    const unity = `#include "${cwd}/u.cxx"\n`;
    const more = folderWith({ Makefile: '', 'a.c': plain('') });
    expect(rootPaths(await planned('gcc -c a.c', { cwd: more }), 'readOnly')).toEqual([other]);
    put(cwd, { 'unity.cxx': unity, 'b.cxx': `#include "${other}/o.h"\n` });
    expect(absentNames(await planned('g++ -c unity.cxx', { cwd }))).toContain('<rch-none.h>');
    expect(rootPaths(await planned('g++ -c b.cxx', { cwd }), 'readOnly')).toEqual([other]);
  });

  it('reads @files, nested ones too', async () => {
    const other = folderWith({ Makefile: '', 'o.h': '' });
    const cwd = folderWith({
      Makefile: '',
      'a b.c': hello,
      'one.rsp': '-c "a b.c"\n@two.rsp',
      'two.rsp': `-I${other} -march=native`,
    });
    const plan = await planned('gcc @one.rsp', { cwd });
    expect(rootPaths(plan, 'readOnly')).toEqual([other]);
    expect(plan.requirements).toContainEqual(expect.objectContaining({ kind: 'cpu' }));
  });

  it('refuses /, home, and folders that hold many things', async () => {
    expect(await reasonOf('gcc -c a.c', { cwd: '/' })).toContain('/ itself');
    expect(await reasonOf('gcc -c a.c', { cwd: '/tmp' })).toContain('/tmp');
    const home = folderWith({ 'a.c': hello });
    expect(await reasonOf('gcc -c a.c', { cwd: home, env: { HOME: home } })).toContain(
      'home folder',
    );
    expect(await reasonOf('gcc -c a.c', { cwd: home, env: { HOME: `${home}/below` } })).toContain(
      'home folder',
    );
  });

  it('does not stand in for ccache', async () => {
    const cwd = folderWith({ Makefile: '', 'a.c': hello, 'bin/ccache': '#!/bin/sh\n' });
    const { chmodSync } = await import('node:fs');
    chmodSync(`${cwd}/bin/ccache`, 0o755);
    symlinkSync('ccache', `${cwd}/bin/gcc`);
    const reason = await reasonOf('gcc -c a.c', { cwd, env: { PATH: `${cwd}/bin:/usr/bin:/bin` } });
    expect(reason).toContain('ccache');
  });

  it('says which library package a link needs', async () => {
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    const plan = await planned('gcc -O2 a.c -o a -lm', { cwd });
    expect(packageNames(plan)).not.toContain('libm-dev');
  });

  it('asks that what is not here is not there: headers, libraries, also by __has_include', async () => {
    const cwd = folderWith({
      Makefile: '',
      'a.c':
        '#include <rch-none.h>\n#if __has_include(<rch/other.h>)\n#define X\n#endif\n#include "own.h"\n' +
        '#ifdef _WIN32\n#include <rch-windows.h>\n#endif\n#include <stdio.h>\n',
      'own.h': '',
    });
    const plan = await planned('gcc -O2 a.c -o a -lrch-none', { cwd });
    const names = ['<rch-none.h>', '<rch/other.h>', '-lrch-none'];
    expect(absentNames(plan)).toEqual(expect.arrayContaining(names));
    expect(absentNames(plan)).not.toContain('<rch-windows.h>');
    expect(absentNames(plan)).not.toContain('<own.h>');
    const paths = plan.requirements.flatMap((each) => (each.kind === 'absent' ? each.paths : []));
    const triple = `${machine.arch}-linux-gnu`;
    expect(paths).toEqual(
      expect.arrayContaining([
        '/usr/include/rch-none.h',
        `/usr/include/${triple}/rch/other.h`,
        `/usr/lib/${triple}/librch-none.a`,
        // What would come before what is here.
        '/usr/local/include/stdio.h',
      ]),
    );
    expect(paths).not.toContain('/usr/include/stdio.h');
    expect(plan.requirements).toContainEqual(expect.objectContaining({ kind: 'unshadowed' }));
  });

  it('asks that no program comes before the one it calls here', async () => {
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin' };
    const plan = await planned('gcc -O2 -c a.c', { cwd, env });
    const found = plan.requirements.find((each) => each.kind === 'absent' && each.name === 'as');
    expect(found).toMatchObject({ paths: ['/usr/local/bin/as'] });
  });

  it('cannot compare a file of the system that no package owns', async () => {
    const cwd = folderWith({ Makefile: '', 'a.c': hello });
    const context = newContext({ machine: { ...machine, packageManager: 'none', packages: {} } });
    expect(await reasonOf('gcc -O2 -c a.c', { cwd, context })).toContain('package database');
  });

  it('works in a git worktree, whose git folder comes along', async () => {
    const main = folderWith({
      '.git/HEAD': 'ref: x\n',
      '.git/worktrees/w/commondir': '../..\n',
      Makefile: '',
    });
    const cwd = folderWith({ '.git': `gitdir: ${main}/.git/worktrees/w\n`, 'a.c': hello });
    const plan = await planned('gcc -O2 -c a.c', { cwd });
    expect(rootPaths(plan, 'readOnly')).toEqual([`${main}/.git`]);
    expect(rootPaths(plan, 'project')).toEqual([cwd]);
  });

  it('takes a submodule as a part of the project around it', async () => {
    const top = folderWith({
      '.git/modules/s/HEAD': 'x',
      's/.git': 'gitdir: ../.git/modules/s\n',
      's/a.c': hello,
    });
    const plan = await planned('gcc -O2 -c a.c', { cwd: `${top}/s` });
    expect(rootPaths(plan)).toEqual([top]);
  });

  it('takes the topmost folder with build files where there is no version control', async () => {
    const top = folderWith({ Makefile: '', 'sub/Makefile': '', 'sub/a.c': hello });
    mkdirSync(`${top}/gap/far`, { recursive: true });
    expect(rootPaths(await planned('gcc -O2 -c a.c', { cwd: `${top}/sub` }))).toEqual([top]);
  });
});

it.skipIf(!has('rustc'))('carries what flags of rustc name beside the project', async () => {
  const top = folderWith({
    'p/Makefile': '',
    'p/x.rs': 'fn main() {}\n',
    'object/t': '',
    'was/t': '',
  });
  const line = `rustc -C link-arg=${top}/object/t --remap-path-prefix=${top}/was=/x x.rs`;
  const plan = await planned(line, { cwd: `${top}/p` });
  expect(rootPaths(plan).filter((path) => path.startsWith(top))).toEqual([
    `${top}/object`,
    `${top}/p`,
  ]);
});
