import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, utimesSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { linkTarget, realPath } from '../../../daemon/plan/files.ts';
import { findProgram } from '../../../daemon/plan/path-search.ts';
import {
  absentNames,
  folderWith,
  has,
  machine,
  newContext,
  packageNames,
  planned,
  planOf,
  put,
  reasonOf,
  rootPaths,
  toolNames,
} from './world.ts';

const dpkg = machine.packageManager === 'dpkg';
const hasReadline = dpkg && machine.packages['libreadline-dev'] !== undefined;

/** Like lua's: the goal decides which flags are used. */
const likeLua = {
  Makefile: [
    'PLAT= guess',
    'PLATS= guess linux linux-readline',
    'all: $(PLAT)',
    '$(PLATS) help clean:',
    '\t@cd src && $(MAKE) $@',
    '.PHONY: all $(PLATS) help clean',
    '',
  ].join('\n'),
  'src/Makefile': [
    'CC= gcc',
    'CFLAGS= -O2 $(SYSCFLAGS)',
    'ALL= all',
    'default: $(PLAT)',
    'all: main.o',
    '\t$(CC) -o main main.o $(SYSLIBS)',
    'help:',
    '\t@echo "make one of linux linux-readline"',
    'guess:',
    '\t@$(MAKE) `uname`',
    'Linux linux: linux-noreadline',
    'linux-noreadline:',
    '\t$(MAKE) $(ALL) SYSCFLAGS="-DUSE_LINUX" SYSLIBS="-ldl"',
    'linux-readline:',
    '\t$(MAKE) $(ALL) SYSCFLAGS="-DUSE_READLINE" SYSLIBS="-lreadline"',
    '',
  ].join('\n'),
  'src/main.c':
    '#include <stdio.h>\n#include "main.h"\n#if defined(USE_READLINE)\n#include <readline/readline.h>\n#endif\nint main(void){return 0;}\n',
  'src/main.h': '#ifdef _WIN32\n#include <windows.h>\n#endif\n',
  'contrib/unused.c': '#include <curses.h>\n',
};

describe.skipIf(!has('cmake') || !has('make'))('cmake --build --preset', () => {
  const presets = (more: object = {}): string =>
    JSON.stringify({
      include: ['more/p.json'],
      configurePresets: [
        { name: 'base', hidden: true, binaryDir: '${sourceDir}/out/${presetName}' },
        { name: 'dev', inherits: ['other', 'base'], ...more },
      ],
      buildPresets: [
        { name: 'dev', configurePreset: 'dev' },
        { name: 'child', inherits: 'dev', targets: 'app' },
        { name: 'inst', inherits: 'dev', targets: ['install'] },
        { name: 'quiet', inherits: 'dev', nativeToolOptions: ['-k0', '-v'] },
        { name: 'dry', inherits: 'dev', nativeToolOptions: ['-n'] },
        { name: 'rel', inherits: 'dev', configuration: 'Release' },
      ],
    });
  const files = (more?: object): Record<string, string> => ({
    'CMakePresets.json': presets(more),
    'more/p.json': JSON.stringify({ configurePresets: [{ name: 'other', cacheVariables: {} }] }),
    'CMakeLists.txt': 'project(x)\n',
    'out/dev/Makefile': 'app:\n\techo app\n',
    Makefile: 'wrong:\n\trch-no-such-program\n',
  });

  it.each(['dev', 'child', 'quiet'])('builds where the preset %s says', async (name) => {
    const cwd = folderWith(files());
    put(cwd, { 'out/dev/CMakeCache.txt': `CMAKE_HOME_DIRECTORY:INTERNAL=${cwd}\n` });
    const plan = await planned(`cmake --build --preset ${name}`, { cwd });
    expect(rootPaths(plan, 'project')).toEqual([cwd]);
    expect(absentNames(plan)).not.toContain('rch-no-such-program');
  });

  it('reads the files of its configuration', async () => {
    const cwd = folderWith(files());
    put(cwd, {
      'out/dev/CMakeCache.txt': `CMAKE_HOME_DIRECTORY:INTERNAL=${cwd}\n`,
      'out/dev/build.ninja': 'rule r\n  command = true\nbuild app: r\ndefault app\n',
      'out/dev/build-Release.ninja':
        'rule r\n  command = rch-no-such-program\nbuild app: r\ndefault app\n',
    });
    const absent = async (name: string): Promise<string[]> =>
      absentNames(await planned(`cmake --build --preset ${name}`, { cwd }));
    expect(await absent('dev')).not.toContain('rch-no-such-program');
    expect(await absent('rel')).toContain('rch-no-such-program');
  });

  it.each([
    ['none', {}, 'cannot be told'],
    ['inst', {}, 'install changes this machine'],
    ['dry', {}, 'passes on -n'],
    ['dev', { binaryDir: '$env{HOME}/b' }, 'depends on the environment'],
    ['dev', { environment: { CC: 'clang' } }, 'sets variables'],
    ['dev', { binaryDir: '${sourceDir}/none' }, 'is not a folder'],
  ])('of %s with %j stays here: %s', async (name, more, reason) => {
    const cwd = folderWith(files(more));
    expect(await reasonOf(`cmake --build --preset ${name}`, { cwd })).toContain(reason);
  });
});

describe.skipIf(!has('make') || !has('gcc'))('make', () => {
  it('is planned without a line of the project being run', async () => {
    const cwd = folderWith({
      Makefile:
        'X := $(shell touch evil)\ninclude more.mk\nall: x.c\n\tgcc -c x.c $(X)\n' +
        'more.mk:\n\ttouch evil $@\n.DEFAULT:\n\ttouch evil\n',
      'x.c': 'int x;\n',
    });
    // Whatever comes of it.
    await planOf('make', { cwd });
    expect(readdirSync(cwd).sort()).toEqual(['Makefile', 'x.c']);
  });

  it('asks for what the goal uses, and for nothing that only another goal would', async () => {
    const cwd = folderWith(likeLua);
    const plan = await planned('make linux', { cwd });
    expect(toolNames(plan)).toEqual(expect.arrayContaining(['make', 'gcc']));
    expect(packageNames(plan)).not.toContain('libreadline-dev');
    expect(packageNames(plan)).not.toContain('libncurses-dev');
    if (dpkg) expect(packageNames(plan)).toEqual(expect.arrayContaining(['libc6-dev', 'make']));
    expect(packageNames(await planned('make', { cwd }))).not.toContain('libreadline-dev');
  });

  it.skipIf(!hasReadline)(
    'asks for libraries and conditional headers that the goal brings in',
    async () => {
      const cwd = folderWith(likeLua);
      expect(packageNames(await planned('make linux-readline', { cwd }))).toContain(
        'libreadline-dev',
      );
      expect(
        packageNames(await planned(['make', 'linux', 'SYSLIBS=-lreadline'], { cwd })),
      ).toContain('libreadline-dev');
    },
  );

  it.skipIf(!hasReadline)('sees an edit that brings in a header', async () => {
    const cwd = folderWith(likeLua);
    const context = newContext();
    expect(packageNames(await planned('make linux', { cwd, context }))).not.toContain(
      'libreadline-dev',
    );
    put(cwd, { 'src/main.h': '#include <readline/readline.h>\n' });
    expect(packageNames(await planned('make linux', { cwd, context }))).toContain(
      'libreadline-dev',
    );
  });

  it.skipIf(!dpkg || machine.packages['zlib1g-dev'] === undefined)(
    "prefers the project's own copy of a header",
    async () => {
      const files = {
        Makefile: 'a: a.c\n\tcc -I. -o a a.c\n',
        'a.c': '#include <zlib.h>\nint main(void){return 0;}\n',
      };
      expect(packageNames(await planned('make', { cwd: folderWith(files) }))).toContain(
        'zlib1g-dev',
      );
      const own = folderWith({ ...files, 'zlib.h': '' });
      expect(packageNames(await planned('make', { cwd: own }))).not.toContain('zlib1g-dev');
    },
  );

  it('stays here when a recipe calls a program that is on this machine alone', async () => {
    const tools = folderWith({ 'bin/mygen': '#!/bin/sh\n' });
    chmodSync(`${tools}/bin/mygen`, 0o755);
    const cwd = folderWith({ Makefile: 'out: in\n\tmygen < in > out\nother:\n\ttrue\n', in: '' });
    const env = { PATH: `${tools}/bin:/usr/bin:/bin` };
    expect(await reasonOf('make', { cwd, env })).toContain('mygen');
    expect((await planned('make other', { cwd, env })).tool).toContain('make');
  });

  it('stays here when such a program is called by a script that a folder below has', async () => {
    const tools = folderWith({ 'bin/mygen': '#!/bin/sh\n' });
    chmodSync(`${tools}/bin/mygen`, 0o755);
    const env = { PATH: `${tools}/bin:/usr/bin:/bin` };
    for (const line of ['cd sub && sh gen', '$(CURDIR)/sub/gen', '$(MAKE) -C sub']) {
      const cwd = folderWith({
        Makefile: `out:\n\t${line}\n`,
        'sub/Makefile': 'all:\n\t./gen\n',
        'sub/gen': '#!/bin/sh\nif ! mygen; then echo none; fi\n',
      });
      expect(await reasonOf('make', { cwd, env }), line).toContain('mygen');
    }
  });

  it('asks for packages of programs, also in $(shell) and in scripts of the project', async () => {
    const cwd = folderWith({
      Makefile: 'V := $(shell perl -v)\nout:\n\t./gen.sh\n\tflex x.l\n',
      'gen.sh': '#!/bin/sh\nbison y.y\n',
    });
    chmodSync(`${cwd}/gen.sh`, 0o755);
    const plan = await planned('make', { cwd });
    // Where it is not installed, it may not be there either.
    const names = [...packageNames(plan), ...absentNames(plan)];
    for (const name of ['flex', 'bison']) if (dpkg) expect(names).toContain(name);
  });

  it('asks where the names of programs lead, and the shell of recipes', async () => {
    const plan = await planned('make', { cwd: folderWith({ Makefile: 'out:\n\tawk 1 < in\n' }) });
    const links = plan.requirements.flatMap((each) => (each.kind === 'leads' ? [each] : []));
    for (const path of ['/bin/sh', findProgram('awk', '/usr/bin:/bin') ?? ''])
      if (linkTarget(path) !== undefined)
        expect(links).toContainEqual(expect.objectContaining({ path, to: realPath(path) }));
  });

  it('carries paths that recipes name outside the project', async () => {
    const other = folderWith({ Makefile: '', 'inc/x.h': '' });
    const cwd = folderWith({ Makefile: `a: a.c\n\tcc -I${other}/inc -c a.c\n`, 'a.c': '' });
    expect(rootPaths(await planned('make', { cwd }), 'readOnly')).toEqual([other]);
  });

  it('takes the jobserver and secrets out of the environment, and says so', async () => {
    const cwd = folderWith({ Makefile: 'a:\n\ttrue\n' });
    const env = {
      MAKEFLAGS: 'k -j4 --jobserver-auth=3,4 -- V=1',
      NPM_TOKEN: 'secret',
      RCH_VERBOSE: '1',
      TERM: 'xterm',
    };
    const plan = await planned('make', { cwd, env });
    expect(plan.env).toContain('MAKEFLAGS=k -- V=1');
    expect(plan.env).toContain('TERM=xterm');
    expect(plan.env.some((each) => /TOKEN|RCH_/.test(each))).toBe(false);
    expect(plan.withheld).toEqual([{ name: 'NPM_TOKEN', why: 'matches *_TOKEN' }]);
    expect(plan.notes.join()).toContain('jobserver');
    expect(plan.slots).toBe(4);
  });

  it('stays here when it would configure anew', async () => {
    const cwd = folderWith({ Makefile: 'a:\n\ttrue\n', configure: '', 'configure.ac': '' });
    const now = new Date();
    utimesSync(`${cwd}/configure.ac`, now, now);
    expect(await reasonOf('make', { cwd })).toContain('configure');
  });

  it
    .skipIf(!hasReadline)
    .each(['out: $(wildcard *.c)\n\tcc -o $@ $^\n', 'SRC := $(wildcard *.c)\nout: $(SRC:.c=.o)\n'])(
    'looks into each source that a wildcard finds: %j',
    async (Makefile) => {
      const cwd = folderWith({ Makefile, 'a.c': '#include <readline/readline.h>\n' });
      expect(packageNames(await planned('make', { cwd }))).toContain('libreadline-dev');
    },
  );
});

describe('compiler launchers', () => {
  const source = { 'x.c': 'int x;\n' };
  it.each([
    [
      'ninja',
      { 'build.ninja': 'rule cc\n  command = sccache cc -c $in -o $out\nbuild x.o: cc x.c\n' },
    ],
    ['make', { Makefile: 'CC = ccache gcc\nx.o: x.c\n\t$(CC) -c x.c\n' }],
    ['make', { Makefile: 'x.o: x.c\n\tdistcc gcc -c x.c\n' }],
  ])(
    'keep a build by %s here, as their servers build in the tree of this machine',
    async (tool, files) => {
      expect(await reasonOf(tool, { cwd: folderWith({ ...files, ...source }) })).toMatch(
        /(sccache|ccache|distcc) keeps its cache or its server on this machine/,
      );
    },
  );
});

describe('attributes of files', () => {
  it.each(['setfacl -m u:x:r a', '/usr/bin/setfattr -n user.x a', 'find . -exec setcap x=ep {} +'])(
    'keep a build that calls %s here, as they do not come back',
    async (line) => {
      const cwd = folderWith({ Makefile: `a:\n\ttouch a\n\t${line}\nb:\n\ttouch b\n` });
      expect(await reasonOf('make', { cwd })).toMatch(/set(facl|fattr|cap), and what that sets/);
      expect(await reasonOf('make b', { cwd })).not.toContain('set');
    },
  );
});

describe.skipIf(!has('cmake') || !has('ninja') || !has('gcc'))('cmake and ninja', () => {
  it('take the sources of a build folder elsewhere, and what build.ninja names', async () => {
    const top = folderWith({
      'CMakeLists.txt':
        'cmake_minimum_required(VERSION 3.10)\nproject(p C)\nadd_executable(p a.c)\n',
      'a.c': '#include <stdio.h>\nint main(void){return 0;}\n',
    });
    const out = folderWith({});
    execFileSync('cmake', ['-S', top, '-B', `${out}/b`, '-G', 'Ninja'], { stdio: 'ignore' });
    const plan = await planned(`cmake --build ${out}/b`, { cwd: top });
    expect(rootPaths(plan, 'project').sort()).toEqual([top, `${out}/b`].sort());
    expect(toolNames(plan)).toEqual(expect.arrayContaining(['cmake', 'ninja', 'cc']));
    const later = new Date(Date.now() + 5000);
    utimesSync(`${top}/CMakeLists.txt`, later, later);
    expect(await reasonOf(`ninja -C ${out}/b`, { cwd: top })).toContain('CMakeLists.txt');
  });

  it.each(['Ninja', 'Unix Makefiles', 'Ninja Multi-Config'])(
    'need only what the targets reach: %s',
    async (generator) => {
      const top = folderWith({
        'CMakeLists.txt': [
          'cmake_minimum_required(VERSION 3.17)',
          'project(p C)',
          'add_custom_command(OUTPUT gen.h COMMAND ssh -V > gen.h DEPENDS a.c)',
          'add_executable(p a.c ${CMAKE_BINARY_DIR}/gen.h)',
          'add_custom_target(layout COMMAND perl -v)',
        ].join('\n'),
        'a.c': 'int main(void){return 0;}\n',
      });
      execFileSync('cmake', ['-S', top, '-B', `${top}/b`, '-G', generator], { stdio: 'ignore' });
      const needs = async (...more: string[]): Promise<string[]> => {
        const plan = await planned(['cmake', '--build', `${top}/b`, ...more], { cwd: top });
        return ['openssh-client', 'perl', '"cc"'].filter((name) =>
          JSON.stringify(plan.requirements).includes(name),
        );
      };
      expect(await needs()).toEqual(['openssh-client', '"cc"']);
      expect(await needs('--target', 'layout')).toContain('perl');
      if (generator !== 'Unix Makefiles') {
        expect(await needs('--target', 'layout')).not.toContain('openssh-client');
        expect(await needs('--', 'layout')).toContain('perl');
      }
      if (generator === 'Ninja Multi-Config')
        expect(await needs('--config', 'Release')).toEqual(['openssh-client', '"cc"']);
    },
  );
});
