import { chmodSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  folderWith,
  has,
  machine,
  newContext,
  packageNames,
  planned,
  reasonOf,
  toolNames,
} from './world.ts';

const source = { 'x.c': 'int main(void){return 0;}\n' };
/** No recipe: make's own rule compiles. */
const bare = { Makefile: 'all: x\n', ...source };

describe.skipIf(!has('make') || !has('gcc') || !has('clang'))("make's own rules", () => {
  it.each([
    ['make', {}, bare, ['cc'], ['clang']],
    ['make CC=clang', {}, bare, ['clang'], ['cc']],
    ['make', { CC: 'clang' }, bare, ['clang'], ['cc']],
    ['make', {}, { ...bare, Makefile: 'CC = clang -O1\nall: x\n' }, ['clang'], ['cc']],
    ['make', { CC: 'clang' }, { ...bare, Makefile: 'CC ?= gcc\nall: x\n' }, ['clang'], []],
    ['make', { CC: 'clang' }, { ...bare, Makefile: 'CC = gcc\nall: x\n' }, ['gcc'], ['clang']],
    // An explicit recipe, whose first word is what the environment says.
    [
      'make',
      { CC: 'clang' },
      { ...source, Makefile: 'CC ?= gcc\nx: x.c\n\t$(CC) -o x x.c\n' },
      ['clang'],
      [],
    ],
    // Either branch may hold.
    [
      'make',
      {},
      { ...bare, Makefile: 'ifdef X\nCC = clang\nelse\nCC = gcc\nendif\nall: x\n' },
      ['gcc', 'clang'],
      [],
    ],
    ['make', {}, { ...bare, Makefile: 'all: x\nx: CC = clang\n' }, ['clang'], []],
    ['make', {}, { ...bare, Makefile: 'all:\n\t$(MAKE) CC="clang -O1" x\nx:\n' }, ['clang'], []],
    // For C++ there is another.
    ['make', { CXX: 'clang++' }, { Makefile: 'all: x\n', 'x.cc': '' }, ['clang++'], ['g++']],
    ['make', { CXX: 'clang++' }, bare, ['cc'], ['clang++']],
    // Without a makefile, and for a goal that none speaks of.
    ['make x', {}, source, ['cc'], []],
    ['make x', { CC: 'clang' }, source, ['clang'], ['cc']],
    ['make x', {}, { ...source, Makefile: 'all:\n\ttrue\n' }, ['cc'], []],
    // Taken away, as CMake does, or not used at all.
    [
      'make',
      { CC: 'clang' },
      { ...source, Makefile: 'x: x.c\n\tgcc -o x x.c\n.SUFFIXES:\n' },
      ['gcc'],
      ['clang'],
    ],
    ['make', { CC: 'clang' }, { Makefile: 'all:\n\ttrue\n' }, [], ['clang']],
  ])('%s with %j in %j call %j and not %j', async (...[line, env, files, called, not]) => {
    const tools = toolNames(await planned(line, { cwd: folderWith(files), env }));
    expect(tools).toEqual(expect.arrayContaining(called));
    for (const name of not) expect(tools).not.toContain(name);
  });

  it('are asked again when the environment says something else', async () => {
    const cwd = folderWith(bare);
    const context = newContext();
    for (const CC of ['clang', 'gcc', 'clang'])
      expect(toolNames(await planned('make', { cwd, context, env: { CC } }))).toContain(CC);
    expect(toolNames(await planned('make', { cwd, context }))).toContain('cc');
  });

  it('keep a compiler that is on this machine alone, or behind a cache, here', async () => {
    const tools = folderWith({ mycc: '#!/bin/sh\n' });
    chmodSync(`${tools}/mycc`, 0o755);
    const cwd = folderWith(bare);
    const PATH = `${tools}:/usr/bin:/bin`;
    for (const CC of ['mycc', 'ccache gcc']) {
      const reason = /^mycc is .* no worker has|^ccache keeps/;
      expect(await reasonOf('make', { cwd, env: { PATH, CC } })).toMatch(reason);
      expect(await reasonOf(['make', `CC=${CC}`], { cwd, env: { PATH } })).toMatch(reason);
    }
  });

  it.each([
    [{ CFLAGS: '-march=native' }, bare, ['cpu']],
    [{ CPPFLAGS: '-mavx2' }, bare, ['instructions']],
    [{ CC: 'gcc -mavx2' }, bare, ['instructions']],
    [{ CFLAGS: '-mavx2' }, { ...bare, Makefile: 'CFLAGS += -O2\nall: x\n' }, ['instructions']],
    [{ CFLAGS: '-mavx2' }, { ...bare, Makefile: 'CFLAGS = -O2\nall: x\n' }, []],
    [{ CXXFLAGS: '-mavx2' }, bare, []],
  ])('with %j in %j ask for the CPU: %j', async (env, files, kinds) => {
    const plan = await planned('make', { cwd: folderWith(files), env });
    const asked = plan.requirements.map(({ kind }) => kind);
    expect(asked.filter((kind) => kind === 'cpu' || kind === 'instructions')).toEqual(kinds);
  });

  it.skipIf(machine.packages['zlib1g-dev'] === undefined)(
    'want libraries and headers that only the environment names',
    async () => {
      const cwd = folderWith(bare);
      const guarded = folderWith({ ...bare, 'x.c': '#ifdef Z\n#include <zlib.h>\n#endif\n' });
      const names = async (at: string, env = {}): Promise<string[]> =>
        packageNames(await planned('make', { cwd: at, env }));
      expect(await names(cwd)).not.toContain('zlib1g-dev');
      expect(await names(cwd, { LDLIBS: '-lz' })).toContain('zlib1g-dev');
      expect(await names(guarded)).not.toContain('zlib1g-dev');
      expect(await names(guarded, { CPPFLAGS: '-DZ' })).toContain('zlib1g-dev');
    },
  );
});
