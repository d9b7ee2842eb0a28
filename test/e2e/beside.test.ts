/** What lies beside a project, or is reached by another name: it is there on the worker as it is here. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noFleet } from '../rig/fleet.ts';
import type { Files } from './projects.ts';
import { Scene, words } from './trouble.ts';

let scene: Scene;

const program = (value: string): string =>
  `#include <stdio.h>\n#include "q.h"\nint main(void) { printf("%d\\n", ${value}); return 0; }\n`;
const makes = (flags: string): string => `x: x.c\n\tcc ${flags} x.c -o x\n`;

const crate = (name: string, at = ''): Files => ({
  [`${at}Cargo.toml`]: `[package]\nname = "${name}"\nversion = "0.1.0"\nedition = "2021"\n`,
});
const lock = (name: string, at = ''): Files => ({
  [`${at}Cargo.lock`]: `version = 4\n\n[[package]]\nname = "${name}"\nversion = "0.1.0"\n`,
});

type Case = {
  readonly what: string;
  readonly files: Files;
  readonly argv?: readonly string[];
  /** Of the folder of the case. */
  readonly env?: (folder: string) => Files;
  readonly says: string;
};

/** The command runs in `p`; `p/x` is what it makes. */
const cases: readonly Case[] = [
  {
    what: 'headers by a flag',
    files: { 'p/Makefile': makes('-I../sib'), 'p/x.c': program('Q'), 'sib/q.h': '#define Q 1\n' },
    says: '1',
  },
  {
    what: 'headers by a flag in a variable of a makefile below',
    files: {
      'p/Makefile': 'all:\n\t$(MAKE) -C sub\n\tcp sub/x x\n',
      'p/sub/Makefile': `TOP = ../..\n${makes('-I$(TOP)/sib')}`,
      'p/sub/x.c': program('Q'),
      'sib/q.h': '#define Q 2\n',
    },
    says: '2',
  },
  {
    what: 'an included makefile, also one that may be missing',
    files: {
      'p/Makefile': `include ../sib/common.mk\n-include ../opt/extra.mk\n${makes('$(C)')}`,
      'p/x.c': 'int puts(const char *);\nint main(void) { puts(M E); return 0; }\n',
      'sib/common.mk': 'C = -DM=\'"m"\' -DE=\'"-"\'\n',
      'opt/extra.mk': 'C = -DM=\'"m"\' -DE=\'"e"\'\n',
    },
    says: 'me',
  },
  {
    what: 'a file that is only looked for',
    files: {
      'p/Makefile': `ifneq ($(wildcard ../opt/inc/opt.h),)\nF = -DHAVE_OPT=7\nendif\n${makes('$(F)')}`,
      'p/x.c':
        '#include <stdio.h>\n#ifndef HAVE_OPT\n#define HAVE_OPT 0\n#endif\nint main(void) { printf("%d\\n", HAVE_OPT); return 0; }\n',
      'opt/inc/opt.h': '',
    },
    says: '7',
  },
  {
    what: 'a build beside it, which writes there',
    files: {
      'p/Makefile': 'x: x.c\n\t$(MAKE) -C ../lib\n\tcc -I../lib x.c ../lib/q.o -o x\n',
      'p/x.c': program('q()'),
      'lib/Makefile': 'q.o: q.c\n\tcc -c q.c\n',
      'lib/q.c': 'int q(void) { return 4; }\n',
      'lib/q.h': 'int q(void);\n',
    },
    says: '4',
  },
  {
    what: 'an include of a source, by its own path',
    files: {
      'p/Makefile': makes(''),
      'p/x.c': program('Q').replace('q.h', '../sib/q.h'),
      'sib/q.h': '#define Q 5\n',
    },
    says: '5',
  },
  {
    what: 'an include by a macro of the command line',
    files: { 'p/x.c': program('Q').replace('"q.h"', 'M'), 'sib/q.h': '#define Q 10\n' },
    argv: ['gcc', 'x.c', '-DM="../sib/q.h"', '-o', 'x'],
    says: '10',
  },
  {
    what: 'an include of a macro between angle brackets',
    files: {
      'p/x.c': program('Q')
        .replace('"q.h"', 'M')
        .replace('#include M', '#define M <../sib/q.h>\n#include M'),
      'sib/q.h': '#define Q 11\n',
    },
    argv: ['gcc', '-I.', 'x.c', '-o', 'x'],
    says: '11',
  },
  {
    what: 'what a linker script includes',
    files: {
      'p/x.c': 'extern char q[];\n' + program('(int)(long)q').replace('#include "q.h"\n', ''),
      'p/s.ld': 'INCLUDE ../sib/more.ld\n',
      'sib/more.ld': 'q = 12;\n',
    },
    argv: ['gcc', '-no-pie', 'x.c', 's.ld', '-o', 'x'],
    says: '12',
  },
  {
    what: 'what a linker script of a makefile includes',
    files: {
      'p/Makefile': makes('-no-pie s.ld'),
      'p/x.c': 'extern char q[];\n' + program('(int)(long)q').replace('#include "q.h"\n', ''),
      'p/s.ld': 'INCLUDE ../sib/more.ld\n',
      'sib/more.ld': 'q = 13;\n',
    },
    says: '13',
  },
  {
    what: 'what a source asks about',
    files: {
      'p/x.c':
        '#include <stdio.h>\n#if __has_include("../sib/q.h")\n#define Q 6\n#else\n#define Q 0\n#endif\nint main(void) { printf("%d\\n", Q); return 0; }\n',
      'sib/q.h': '',
    },
    argv: ['gcc', 'x.c', '-o', 'x'],
    says: '6',
  },
  {
    what: 'a source that ninja compiles',
    files: {
      'p/build.ninja': 'rule cc\n  command = cc $in -o $out\nbuild x: cc ../sib/x.c\n',
      'sib/x.c': program('8').replace('#include "q.h"\n', ''),
    },
    argv: ['ninja'],
    says: '8',
  },
  {
    what: 'folders of the environment',
    files: { 'p/Makefile': makes(''), 'p/x.c': program('Q'), 'sib/inc/q.h': '#define Q 9\n' },
    env: (folder) => ({ CPATH: join(folder, 'sib/inc') }),
    says: '9',
  },
];

describe.skipIf(noFleet !== undefined)('what lies beside a project', () => {
  beforeAll(async () => {
    scene = await Scene.set('beside');
    await scene.buildsThere(scene.project('warm'));
  }, 900_000);
  afterAll(async () => {
    await scene.leave();
  });

  it.for(cases)('is there on the worker: $what', async (each) => {
    const folder = scene.project(each.what.replaceAll(/\W+/g, '-'), each.files);
    const cwd = join(folder, 'p');
    const argv = each.argv ?? ['make'];
    const { ended, row } = await scene.build(cwd, argv, each.env?.(folder) ?? {});
    expect(ended.code, words(ended)).toBe(0);
    expect(row, row.reason).toMatchObject({ decision: 'remote', exit: 0 });
    expect(await scene.says(join(cwd, 'x'))).toBe(each.says);
  });

  it('is there on the worker for cargo as well: what is included, and what a test reads', async () => {
    const folder = scene.project('crate', {
      ...crate('p', 'p/'),
      ...lock('p', 'p/'),
      'p/src/lib.rs': 'pub const SAID: &str = include_str!("../../sib/said");\n',
      'p/tests/reads.rs':
        '#[test]\nfn reads() {\n  let read = std::fs::read_to_string("../sib/read").unwrap();\n  assert_eq!(read.len() + p::SAID.len(), 8);\n}\n',
      'sib/said': 'said',
      'sib/read': 'read',
    });
    const cwd = join(folder, 'p');
    const { ended, row } = await scene.build(cwd, ['cargo', 'test']);
    expect(ended.code, words(ended)).toBe(0);
    expect(row, row.reason).toMatchObject({ decision: 'remote', exit: 0 });
  });

  it("is there on the worker where cargo's configuration names it for rustc and for what runs", async () => {
    const folder = scene.project('configured', {
      ...crate('p', 'p/'),
      ...lock('p', 'p/'),
      '.cargo/config.toml': '[env]\nABOVE = { value = "inc", relative = true }\n',
      'p/.cargo/config.toml':
        '[env]\nOWN = { value = "../own", relative = true }\nREAD = "../read/t"\n',
      'p/src/lib.rs': 'pub const SAID: &str = include_str!(concat!(env!("ABOVE"), "/t"));\n',
      'p/build.rs':
        'fn main() {\n  let own = std::env::var("OWN").unwrap();\n  std::fs::read(format!("{own}/t")).unwrap();\n  std::fs::read(std::env::var("READ").unwrap()).unwrap();\n}\n',
      'inc/t': 'inc',
      'own/t': 'own',
      'read/t': 'read',
    });
    const { ended, row } = await scene.build(join(folder, 'p'), ['cargo', 'build']);
    expect(ended.code, words(ended)).toBe(0);
    expect(row, row.reason).toMatchObject({ decision: 'remote', exit: 0 });
  });

  it('is compared where a test calls it: a program that the worker lacks', async () => {
    const cwd = scene.project('calls', {
      ...crate('calls'),
      ...lock('calls'),
      'src/lib.rs':
        '#[cfg(test)]\nmod tests {\n  #[test]\n  fn calls() {\n    assert!(std::process::Command::new("git").arg("--version").status().is_ok());\n  }\n}\n',
    });
    expect((await scene.build(cwd, ['cargo', 'build'])).row.decision).toBe('remote');
    const { ended, row } = await scene.build(cwd, ['cargo', 'test']);
    expect(ended.code, words(ended)).toBe(0);
    expect(row.decision, row.reason).toBe('local');
    expect(row.reason).toContain('git');
  });

  it('is where a link leads, also for what is made', async () => {
    const folder = scene.project('links', {
      'p/Makefile': 'build/x: x.c\n\tcc x.c -o build/x\n',
      'p/x.c': program('Q'),
      'sib/q.h': '#define Q 3\n',
    });
    mkdirSync(join(folder, 'scratch'));
    symlinkSync('../scratch', join(folder, 'p/build'));
    symlinkSync('../sib/q.h', join(folder, 'p/q.h'));
    await scene.buildsThere(join(folder, 'p'));
    expect(await scene.says(join(folder, 'scratch/x'))).toBe('3');
  });

  it('does not change where a build is that is named by a link', async () => {
    const folder = scene.project('named', { 'p/Makefile': 'x:\n\tpwd > x\n' });
    symlinkSync('p', join(folder, 'l'));
    const { ended } = await scene.build('/', ['make', '-C', join(folder, 'l')]);
    expect(ended.code, words(ended)).toBe(0);
    const real = realpathSync(join(folder, 'p'));
    expect(readFileSync(join(folder, 'p/x'), 'utf8')).toBe(`${real}\n`);
    expect(ended.stdout.toString()).toContain(`Entering directory '${real}'`);
    expect(await scene.last()).toMatchObject({ decision: 'remote' });
  });

  it.for([
    ['its message names it', 'cat ../$$n/word > y', 'make'],
    ['stdout and stderr are one file', 'cat ../$$n/word > y', 'make > o 2>&1'],
    ['the message is on stdout', 'cat ../$$n/word > y 2>&1 || { cat y; exit 1; }', 'make'],
    ['the path goes through the project', 'cat "$$PWD/../$$n/word" > y', 'make'],
  ])(
    'is learned of where %s: the next build is here',
    async ([what = '', recipe = '', line = '']) => {
      const folder = scene.project(`learned ${what}`.replaceAll(/\W+/g, '-'), {
        'p/Makefile': `x:\n\tn=sib; { ${recipe}; } && mv y x\n`,
        'sib/word': 'said\n',
      });
      const cwd = join(folder, 'p');
      expect((await scene.build(cwd, ['sh', '-c', line])).ended.code).toBe(2);
      expect(await scene.last()).toMatchObject({ decision: 'remote' });
      const { ended, row } = await scene.build(cwd, ['sh', '-c', line]);
      expect(ended.code, words(ended)).toBe(0);
      expect(row.decision).toBe('local');
      expect(row.reason).toContain(join(folder, 'sib/word'));
      expect(readFileSync(join(cwd, 'x'), 'utf8')).toBe('said\n');
    },
  );

  it('comes back as well where its own maker may not read it, and the next build is there too', async () => {
    const cwd = scene.project('unreadable', {
      Makefile:
        'all:\n\t@rm -rf s; mkdir s; for i in 1 2 3 4 5 6 7 8; do head -c 900000 /dev/urandom > s/$$i; done\n' +
        '\t@sha256sum s/* > sums; echo small > b; chmod 000 s/* b; chmod 200 sums\n',
    });
    for (let round = 0; round < 2; round++) {
      const { ended, row } = await scene.build(cwd);
      expect(ended.code, words(ended)).toBe(0);
      expect(row, row.reason).toMatchObject({ decision: 'remote', exit: 0 });
      expect(statSync(join(cwd, 'b')).mode & 0o7777).toBe(0);
      expect(statSync(join(cwd, 's/3')).mode & 0o7777).toBe(0);
      expect(statSync(join(cwd, 'sums')).mode & 0o7777).toBe(0o200);
      execFileSync('sha256sum', ['-c', '--quiet', 'sums'], { cwd });
      rmSync(join(cwd, 'b'));
    }
  });

  it('is not done elsewhere where TMPDIR is nothing', async () => {
    const cwd = scene.project('no-tmpdir', { Makefile: 'x:\n\tmktemp && touch x\n' });
    const { ended, row } = await scene.build(cwd, ['make'], { TMPDIR: '/nonexistent/tmp' });
    expect(ended.code).toBe(2);
    expect(row.decision).toBe('local');
    expect(row.reason).toContain('TMPDIR is /nonexistent/tmp');
  });

  it('counts in a cargo project that has no lock file yet, as far as the worker has the same programs', async () => {
    const cwd = scene.project('unlocked', {
      ...crate('unlocked'),
      'src/main.rs': 'fn main() { println!("{}", env!("SAID")); }\n',
      'build.rs':
        'use std::process::Command;\nfn main() {\n  let said = Command::new("git").arg("--version").output().is_ok();\n  println!("cargo:rustc-env=SAID={said}");\n}\n',
    });
    const { ended, row } = await scene.build(cwd, ['cargo', 'build']);
    expect(ended.code, words(ended)).toBe(0);
    expect(row.decision, row.reason).toBe('local');
    expect(row.reason).toContain('git');
    expect(await scene.says(join(cwd, 'target/debug/unlocked'))).toBe('true');
  });
});
