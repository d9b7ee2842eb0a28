import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { indexPath, lockedCrates } from '../../../daemon/plan/cargo-home.ts';
import { buildTextKind, envReads } from '../../../daemon/plan/env-reads.ts';
import { toolEnvironment } from '../../../daemon/plan/environment.ts';
import { mayHold, parseSource } from '../../../daemon/plan/needs/c-source.ts';
import { descriptorsOf } from '../../../daemon/plan/needs/descriptors.ts';
import { makeNeeds } from '../../../daemon/plan/needs/make-needs.ts';
import { parseMakefile } from '../../../daemon/plan/needs/makefile.ts';
import { reachedTexts } from '../../../daemon/plan/needs/ninja-reach.ts';
import { noNeeds, shellNeeds } from '../../../daemon/plan/needs/needs.ts';
import { scriptNames } from '../../../daemon/plan/needs/linker-script.ts';
import { enteredPaths, outwardPaths } from '../../../daemon/plan/needs/outward.ts';
import { hiddenFolders, refusedRoot } from '../../../daemon/plan/system.ts';

const scope = { given: new Map<string, string>(), environment: new Map<string, string>() };

describe('shell text', () => {
  it.each([
    ['@cd src && gcc -c a.c || echo no; perl x', ['gcc', 'perl']],
    ['-FOO=1 bison -y x.y | sed s/a/b/', ['bison', 'sed']],
    ['if test -f x; then flex x; fi', ['flex']],
    ['$(pkg-config --cflags gtk+-3.0)', ['pkg-config']],
    ['if command -v node >/dev/null; then x; fi', ['node']],
    ['V := $(if $(shell command -v tool),with,plain)', ['tool']],
    ['type -p perl || hash python3', ['perl', 'python3']],
    ['env -i tool; A="x y" B+=1 more', ['env', 'tool', 'more']],
    [
      'ls | xargs -n 1 tool -x; nice -n 3 timeout -s KILL 5 more',
      ['xargs', 'tool', 'timeout', 'more'],
    ],
    ['if ! tool; then { more; }; fi', ['tool', 'more']],
    ['2>/dev/null tool; > out more', ['tool', 'more']],
    ['@sh -c "tool x; more"', ['sh', 'tool', 'more']],
    ['find . -exec tool {} +', ['find', 'tool']],
  ])('%s', (text, programs) => {
    const needs = noNeeds();
    shellNeeds(text, needs);
    for (const program of programs) expect([...needs.programs]).toContain(program);
    expect([...needs.programs]).not.toContain('cd');
    expect([...needs.programs]).not.toContain('echo');
  });

  it('calls nothing by a pattern of a case that goes over several lines', () => {
    const needs = noNeeds();
    shellNeeds('case $o in\n  -exec | --exe \\\n  | --ex) mkdir x ;;\nesac\n', needs);
    expect([...needs.programs]).toEqual(['mkdir']);
  });

  it('calls nothing by a pattern of a case', () => {
    const needs = noNeeds();
    shellNeeds(
      'for f in $args; do\n case $f in\n  compile | *[\\/]compile | ccache | *[\\/]ccache ) ;;\n' +
        '  "distcc") make x;; a|sccache) (cd x; install)\n;;\n esac\ndone\n(cd y; bison )',
      needs,
    );
    expect([...needs.programs].sort()).toEqual(['bison', 'install', 'make']);
  });

  it('names the modules that pkg-config is asked for', () => {
    const needs = noNeeds();
    shellNeeds('x=$(pkg-config --libs glib-2.0 zlib)', needs);
    expect([...needs.modules]).toEqual(['glib-2.0', 'zlib']);
  });
});

describe('descriptors of the caller', () => {
  it.each([
    ['\techo note >&3', ['3']],
    ['cat <& 7; tee /dev/fd/12 < x', ['7', '12']],
    ['printf x > /proc/self/fd/4', ['4']],
    // The first three are everywhere; what a line or an exec opens is its own.
    ['echo x >&2; cat <&0 2>&1', []],
    ['gcc x.c 3>&1 1>&2 2>&3', []],
    ['exec 5>log\necho x >&5', []],
    ['echo a && echo b >log3 & wait', []],
  ])('%s', (text, numbers) => {
    expect([...descriptorsOf(text)]).toEqual(numbers);
  });
});

describe('statements of ninja', () => {
  const rules = ['cc', 'gen', 'fmt'].map((name) => `rule ${name}\n  command = ${name} $in\n`);
  const text = [
    ...rules,
    'w = /w/\nbuild ${w}x$ y.o | side: cc a.c | gen.h || order\n  FLAGS = -g\n',
    'build gen.h: gen gen.in\n',
    'build order: phony ./late\nbuild late: gen z\n',
    'build format: fmt a.c\n  COMMAND = clang-format\n',
    'default sub/../side\n',
  ].join('');
  const reached = (...goals: string[]): string => reachedTexts([text], goals).join('');

  it('count as far as the goals, or the default, reach', () => {
    expect(reached()).not.toMatch(/fmt|clang-format/);
    expect(reached()).toMatch(/build late[^]*default/);
    expect(reached()).toContain('FLAGS = -g');
    expect(reached('/w/x y.o')).toBe(reached());
    expect(reached('format')).toMatch(/clang-format/);
    expect(reached('format')).not.toMatch(/FLAGS|rule cc|gen\.in/);
    expect(reached('gen.h', 'format')).toMatch(/gen\.in[^]*clang-format/);
  });

  it('count all where that cannot be told', () => {
    expect(reached('no-such')).toBe(text);
    expect(reached('a.c^')).toBe(text);
    const open = text.replace('FLAGS = -g', 'dyndep = x.dd');
    expect(reachedTexts([open], [])).toEqual([open]);
    const [without] = text.split('default');
    expect(reachedTexts([without ?? ''], [])).toEqual([without]);
  });

  it('reach from one file into another, and keep variables of the top', () => {
    const [first = '', second = ''] = reachedTexts(
      [
        'include rules\nv = 1\nbuild all: phony a\ndefault all\n',
        'rule r\n  command = r\nbuild a: r\nbuild b: r\n',
      ],
      [],
    );
    expect(first).toContain('v = 1');
    expect(second).toBe('rule r\n  command = r\nbuild a: r\n');
  });
});

describe('paths that lead out of a project', () => {
  const out = (text: string, ...bases: string[]): string[] => outwardPaths(text, bases, '/w/p');

  it.each([
    ['cc -I../sib -c x.c', ['/w/p'], ['/w/sib']],
    ['include ../sib/common.mk', ['/w/p'], ['/w/sib/common.mk']],
    ['-Wl,--version-script=../o/v.map', ['/w/p'], ['/w/o/v.map']],
    ['"src/../../sib/q.h"', ['/w/p'], ['/w/sib/q.h']],
    ['../../x', ['/w/p/a/b', '/w/p/a'], ['/w/x']],
    // Within, above, or nothing in particular.
    ['../x.c cd .. && ls ../', ['/w/p/sub'], []],
    ['../p ../../w', ['/w/p'], []],
    ['a..b/c ...', ['/w/p'], []],
  ] as const)('%s', (text, bases, paths) => {
    expect(out(text, ...bases)).toEqual(paths);
  });

  it('are entered where a build is started there, or a variable says where', () => {
    const entered = (text: string): string[] => enteredPaths(text, ['/w/p'], '/w/p');
    expect(entered('cc -I../inc; $(MAKE) -C ../lib')).toEqual(['/w/lib']);
    expect(entered('cd "../lib" && make')).toEqual(['/w/lib']);
    expect(entered('L = ../lib\nx:\n\tmake -C $(L)')).toEqual(['/w/lib']);
    expect(entered('L = ../lib')).toEqual([]);
  });

  it('are found in sources between quotes', () => {
    expect(parseSource('#define H "../o/h.h"\n#include "a.h"\n').outward).toEqual(['../o/h.h']);
    expect(parseSource('/* "../x" */ char *s = "a..b/";\n').outward).toEqual([]);
  });

  it('are found in sources between angle brackets', () => {
    const facts = parseSource('#define Q <../sib/m.h>\n#if a < b && c > "../d"\n#endif\n');
    expect(facts.angled).toEqual(['../sib/m.h']);
    expect(facts.outward).toEqual(['../d']);
  });

  it.each([
    ['INCLUDE ../sib/more.ld\nSECTIONS { .text : { *(.text) } }', ['../sib/more.ld']],
    [
      '/* INCLUDE x */ INPUT(a.o, "../b c.o" -lz) STARTUP(../crt.o)',
      ['a.o', '../b', 'c.o', '../crt.o'],
    ],
    ['GROUP ( /o/liba.so.1 AS_NEEDED ( ../libb.so ) =/c.a )', ['/o/liba.so.1', '../libb.so']],
    ['SEARCH_DIR("/o/lib"); SEARCH_DIR("=/usr/lib"); ENTRY(_start)', ['/o/lib']],
    ['SECTIONS { .x : { INCLUDE "a b.ld" *(.rodata*) } }', ['a b.ld']],
  ])('are found in linker scripts: %s', (text, names) => {
    expect(scriptNames(text)).toEqual(names);
  });
});

describe('a makefile', () => {
  const needsOf = (text: string, goals: string[]) =>
    makeNeeds([parseMakefile(text)], goals, scope).needs;

  it('is read rule by rule, from the first target or the goals on', () => {
    const text =
      'LEX=flex\nall: a.o\na.o: a.c\n\t$(CC) -DX -c a.c -lz\n\nother:\n\tbison y.y -lfoo\n';
    expect([...needsOf(text, []).libraries]).toEqual(['z']);
    expect([...needsOf(text, []).programs]).toContain('cc');
    expect([...needsOf(text, ['other']).libraries]).toEqual(['foo']);
  });

  it('counts pattern rules, and flags of implicit ones', () => {
    const text = 'LDLIBS = -lm -lpng\nCFLAGS += -DHAVE_X\nall: x\n%.o: %.c\n\tmycc $<\n';
    const needs = needsOf(text, []);
    expect([...needs.libraries]).toEqual(expect.arrayContaining(['m', 'png']));
    expect([...needs.defines]).toEqual(['HAVE_X']);
    expect([...needs.programs]).toContain('mycc');
  });

  it('counts everything when a goal cannot be known', () => {
    const text = 'all:\n\t$(MAKE) `./which-one`\nhidden:\n\tcc -lsecret\n';
    expect([...needsOf(text, []).libraries]).toContain('secret');
  });

  it.each([
    [
      'speaks of make',
      'all:\n\t@if [ -f .config ]; then \\\n\techo "run \'make mrproper\'"; false; fi;\n',
    ],
    [
      'gives make an option that is asked for',
      'all:\n\t$(MAKE) -C $(shell pwd) -j `nproc` N=$$(id -u) -k all2\n',
    ],
    [
      'says what a program says beside the word make',
      'V=$(shell cat v)\nall:\n\t@echo $(V) is what make knows\n',
    ],
    [
      'calls make in a folder that a variable finds by itself',
      'O := $(shell cd $(O) && pwd)\nall:\n\t$(MAKE) -C $(O)\n',
    ],
  ])('does not count everything where a recipe %s', (_, text) => {
    expect([...needsOf(`${text}hidden:\n\tcc -lsecret\n`, []).libraries]).toEqual([]);
  });

  it.each([
    '$(MAKE) $(shell cat goals)',
    '$(MAKE) -k $$(cat goals)',
    'if true; then $(MAKE) -C x `cat goals` -k; fi;',
    'X=`$(MAKE) -s $$(cat goals)`; echo',
    'echo now; $(MAKE) all $(shell ./more; ./goals)',
  ])('counts everything where a recipe says %s', (line) => {
    const text = `all:\n\t${line}\nhidden:\n\tcc -lsecret\n`;
    expect([...needsOf(text, []).libraries]).toContain('secret');
  });

  it.each([
    'define gen\ntool $@\nendef\nall: out\nout:\n\t$(gen)\n',
    'define gen\n\ttool $(1)\nendef\nall: out\nout:\n\t$(call gen,2)\n',
    'run = tool $(1)\nall:\n\t$(call run,2)\n',
    'cmd_a = tool\nrun = $(cmd_$(1))\nall:\n\t$(call run,a)\n',
    'define R\n$(1).t:\n\ttool\nendef\nall: b.t\n$(foreach t,a b,$(eval $(call R,$(t))))\n',
    '$(eval all: ; tool)\n',
    'all: $(shell tool -n)\n',
    '$(info $(shell tool))\nall:\n',
    'include $(shell tool).mk\nall:\n',
    'ifneq ($(shell tool),)\nall:\nendif\n',
    'X := $(shell cd $(shell pwd) && tool)\nall:\n',
    'SHELL = tool\nall:\n\tx\n',
    'all: SHELL = tool\nall:\n\tx\n',
    '.RECIPEPREFIX = >\nall:\n>@tool\n',
    '.DEFAULT_GOAL := other\nall:\n\techo\nother:\n\ttool\n',
    'all: x\n.DEFAULT:\n\ttool\n',
    'all: ./x\nx:\n\ttool\n',
    'all: $(if $(N),x,y)\ny:\n\ttool\n',
    'all:\n\t$(MAKE) $(addprefix b,c)\nbc:\n\ttool\n',
    'P := x y\nall: $(P:=.t)\ny.t:\n\ttool\n',
    'P := x y\nall: $(P:%=%.t)\ny.t:\n\ttool\n',
    'P := x.c\nall: $(patsubst %.c,%.o,$(P))\nx.o:\n\ttool\n',
    'P := x.c\nall: $(subst .c,.o,$(P))\nx.o:\n\ttool\n',
    'P := d/x.c\nall: $(basename $(notdir $(P)))\nx:\n\ttool\n',
    'all: $(patsubst %.c,%.o,$(wildcard *.c))\nx.o:\n\ttool\n',
    'all: $(join x,.t)\nx.t:\n\ttool\n',
    'T = x\nall: $($(T)_l)\nx_l = q\nq:\n\ttool\n',
  ])('calls tool: %j', (text) => {
    expect([...needsOf(text, []).programs]).toContain('tool');
  });

  it.each([
    'all:\n\techo if tool is missing, do tool then tool\n',
    'all:\n\t@case x in *) true ;; esac; $(MAKE) x\nother:\n\ttool\n',
    'all: $(firstword a)\ndefine other\n\ttool\nendef\n',
  ])('does not call tool: %j', (text) => {
    expect([...needsOf(text, []).programs]).not.toContain('tool');
  });

  it('reads no script that only a variable names', () => {
    const needs = needsOf('DIST = ./a.sh b.sh\nall:\n\t./c && sh d.sh $(shell sh e.sh)\n', []);
    expect([...needs.scripts].sort()).toEqual(['./c', 'd.sh', 'e.sh']);
  });

  it('has its interpreters read scripts, in the folders that commands go to', () => {
    const text =
      'all:\n\tcd sub && $(SHELL) -e gen; perl -w p; . x\n\t$(MAKE) -C lib\n\t$(CURDIR)/y\n';
    const needs = needsOf(text, []);
    expect([...needs.scripts].sort()).toEqual(['./y', '/bin/sh', 'gen', 'p', 'x']);
    expect([...needs.folders].sort()).toEqual(['lib', 'sub']);
  });

  it('has a shell of its own, whatever the environment says', () => {
    const environment = new Map([['SHELL', '/bin/zsh']]);
    const makefile = parseMakefile('all:\n\t$(SHELL) x\n');
    const { needs } = makeNeeds([makefile], [], { given: new Map(), environment });
    expect([...needs.programs]).toEqual(['/bin/sh']);
  });

  it('is read in a bounded time, however its variables multiply', () => {
    const lines = Array.from(
      { length: 60 },
      (_, at) => `A${at} = $(A${at + 1}) $(A${at + 1})x$(1)\n`,
    );
    expect(() => needsOf(`${lines.join('')}all: $(call A0,y)\n\t$(call A0,z)\n`, [])).not.toThrow();
  });

  it('has no use for the scripts by which it would be made anew', () => {
    const text =
      'AM = ./configure ./config.status\nall: x\n\t./make-x\nMakefile: ./configure\n\t./config.status\n';
    const needs = needsOf(text, []);
    expect([...needs.words]).not.toContain('./configure');
    expect([...needs.programs]).toEqual(['./make-x']);
  });

  it('never makes the reader throw or hang', () => {
    const piece = fc.constantFrom(
      '$(',
      ')',
      '${',
      '}',
      'A',
      '=',
      ':',
      '\n',
      '\t',
      '$(A)',
      '%',
      ' ',
      'include ',
      'A=$(A)x',
      '\\\n',
      ';',
      '#',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (parts) => {
        makeNeeds([parseMakefile(parts.join(''))], [], scope);
      }),
    );
  });
});

describe('a C source', () => {
  const holding = (text: string, defined: string[] = []): string[] =>
    parseSource(text)
      .includes.filter((include) => mayHold(include, new Set(defined)))
      .map((include) => include.name);

  it.each([
    ['#include <a.h>\n  # include "b.h"\n', [], ['a.h', 'b.h']],
    ['#ifdef _WIN32\n#include <w.h>\n#else\n#include <u.h>\n#endif\n', [], ['u.h']],
    ['#if defined(X) && defined(Y)\n#include <x.h>\n#endif\n#include <z.h>\n', [], ['z.h']],
    ['#if defined(X)\n#include <x.h>\n#endif\n', ['X'], ['x.h']],
    ['#ifndef X\n#include <x.h>\n#endif\n', ['X'], ['x.h']],
    ['#if !defined(X)\n#include <x.h>\n#endif\n', [], ['x.h']],
    ['#if X == 0\n#include <x.h>\n#endif\n', [], ['x.h']],
    ['#if 0\n#include <x.h>\n#endif\n', [], []],
    ['#if __linux__\n#include <l.h>\n#endif\n', [], ['l.h']],
    ['/* #include <no.h>\n#include <no2.h> */\n#include <yes.h> // x\n', [], ['yes.h']],
    [
      '#if __has_include(<h.h>) && X\n#define H\n#elif __has_include("q.h")\n#endif\n',
      [],
      ['h.h', 'q.h'],
    ],
    ['#ifdef _WIN32\n#if __has_include(<h.h>)\n#endif\n#endif\n', [], []],
    ['#ifdef A\n#ifdef B\n#include <ab.h>\n#endif\n#endif\n', ['A'], []],
  ])('%j', (text, defined, includes) => {
    expect(holding(text, defined)).toEqual(includes);
  });
});

describe('the environment', () => {
  it('loses the jobserver alone from make flags', () => {
    const of = (value: string) =>
      toolEnvironment(new Map([['MAKEFLAGS', value]]), () => undefined).env;
    expect(of('w -j8 --jobserver-auth=fifo:/tmp/x -- A=1')).toEqual(['MAKEFLAGS=w -- A=1']);
    expect(of(' -j --jobserver-fds=3,4')).toEqual([]);
    expect(of('k --warn-undefined-variables')).toEqual(['MAKEFLAGS=k --warn-undefined-variables']);
  });
});

describe('names a build read', () => {
  it('are found in depfiles, build script output and makefiles', () => {
    const withheld = new Set(['A_TOKEN', 'B_TOKEN', 'C_TOKEN', 'D_TOKEN', 'E_TOKEN', 'F_TOKEN']);
    const found = envReads(
      [
        { kind: 'depfile', text: 'x: y\n\n# env-dep:A_TOKEN=1\n# env-dep:HOME\n' },
        {
          kind: 'output',
          text: 'cargo:rerun-if-env-changed=B_TOKEN\ncargo::rerun-if-env-changed=HOME\n',
        },
        { kind: 'makefile', text: 'x:\n\tcurl -H $(C_TOKEN) ${HOME} $$D_TOKEN $${E_TOKEN}\n' },
      ],
      withheld,
    );
    expect(found).toEqual(['A_TOKEN', 'B_TOKEN', 'C_TOKEN', 'D_TOKEN', 'E_TOKEN']);
  });
  it('are looked for in files by their path', () => {
    expect(buildTextKind('target/debug/deps/a.d')).toBe('depfile');
    expect(buildTextKind('target/debug/build/a-1/output')).toBe('output');
    expect(buildTextKind('sub/Makefile')).toBe('makefile');
    expect(buildTextKind('src/output')).toBeUndefined();
  });
});

describe('folders', () => {
  it.each([
    '/',
    '/home',
    '/home/u',
    '/root',
    '/tmp',
    '/usr',
    '/usr/lib/x',
    '/etc',
    '/proc/1',
    '/dev/shm',
    '/var',
    '/opt',
    '/usr/src',
  ])('%s is no root', (path) => {
    expect(refusedRoot(path, '/home/u')).toBeDefined();
  });
  it.each(['/home/u/p', '/work/p', '/tmp/p', '/usr/src/p', '/opt/p', '/var/lib/p'])(
    '%s may be a root',
    (path) => {
      expect(refusedRoot(path, '/home/u')).toBeUndefined();
    },
  );
  it('hide homes and the top folders of roots', () => {
    expect(hiddenFolders(['/work/p', '/home/u/q', '/usr/src/x'], '/home/u')).toEqual([
      '/home',
      '/root',
      '/tmp',
      '/var/tmp',
      '/work',
    ]);
  });
});

describe("cargo's own places", () => {
  it.each([
    ['a', '1/a'],
    ['ab', '2/ab'],
    ['abc', '3/a/abc'],
    ['Serde', 'se/rd/serde'],
  ])('%s is kept at %s in an index', (name, path) => {
    expect(indexPath(name)).toBe(path);
  });
  it('knows the crates of a lock file that come from elsewhere', () => {
    const text =
      'version = 4\n\n[[package]]\nname = "own"\nversion = "0.1.0"\n\n[[package]]\nname = "itoa"\nversion = "1.0.1"\nsource = "registry+https://x"\nchecksum = "y"\n';
    expect(lockedCrates(text)).toEqual([
      { name: 'itoa', version: '1.0.1', source: 'registry+https://x' },
    ]);
  });
});
