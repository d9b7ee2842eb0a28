import { describe, expect, it } from 'vitest';
import { mayDoWithout } from '../../../daemon/plan/cargo-preflight.ts';
import { goalsWithoutMention, goalsWithoutRule } from '../../../daemon/plan/needs/goals.ts';
import { parseMakefile } from '../../../daemon/plan/needs/makefile.ts';
import { folderWith, has, newContext, planOf, planned, put, reasonOf } from './world.ts';

const unknown = (text: string, ...goals: string[]): string[] =>
  goalsWithoutRule([parseMakefile(text)], goals, { given: new Map(), environment: new Map() });

describe('a goal that no makefile speaks of', () => {
  it.each<[string, string, boolean]>([
    ['all: a\na:\n\ttrue\n', 'nope', true],
    ['all: a\na:\n\ttrue\n', './a', false],
    ['all: a\na:\n\ttrue\n', './././/a', false],
    ['NAME = app\n$(NAME): x\n\ttrue\n', 'app', false],
    ['NAME = app\n$(NAME): x\n\ttrue\n', 'nope', true],
    ['test-%:\n\ttrue\n', 'test-x', false],
    ['test-%:\n\ttrue\n', 'nope', true],
    ['$(SRCS:.c=.o): %.o: %.c\n\ttrue\n', 'nope', false],
    ['$(addprefix t-,a b):\n\ttrue\n', 'nope', false],
    ['$(UNSET):\n\ttrue\n', 'nope', false],
    ['.DEFAULT:\n\ttrue\n', 'nope', false],
    ['%:\n\ttrue\n', 'nope', false],
    ['.PHONY: all\nall:\n\ttrue\n', 'nope', true],
    ['all:\n\ttrue\n', 'lib.a(x.o)', false],
  ])('%j, make %s: %s', (text, goal, wrong) => {
    expect(unknown(text, goal)).toEqual(wrong ? [goal] : []);
  });

  it('is found in ninja’s files by the last part of its name', () => {
    const texts = ['build out/app: link a.o\n', 'build $b/lib.a: ar b.o\n'];
    expect(goalsWithoutMention(texts, ['out/app', 'x/lib.a', 'a.o^', 'nope', 'a$b'])).toEqual([
      'nope',
    ]);
  });
});

describe('make and ninja stay here at once, where the message is right, for', () => {
  const files = {
    Makefile: 'all: other\nother:\n\ttrue\n',
    'hello.c': 'int main(void){return 0;}\n',
  };
  it.each([
    ['make nope', 'nothing makes nope'],
    ['make -f nope.mk', 'nope.mk is not there'],
    ['make -C nope', 'nope is not a folder'],
    ['ninja', 'build.ninja is not there'],
    ['ninja -f nope.ninja', 'nope.ninja is not there'],
  ])('%s: %s', async (line, reason) => {
    if (!has(line.split(' ')[0] ?? '')) return;
    expect(await reasonOf(line, { cwd: folderWith(files) })).toContain(reason);
  });

  it('a goal of build.ninja that is not there', async () => {
    if (!has('ninja')) return;
    const cwd = folderWith({ 'build.ninja': 'rule t\n  command = true\nbuild app: t\n' });
    expect(await reasonOf('ninja nope', { cwd })).toContain('nothing makes nope');
    expect((await planned('ninja app', { cwd })).project).toBe(cwd);
  });

  it('a folder without a makefile', async () => {
    expect(await reasonOf('make', { cwd: folderWith({ 'hello.c': '' }) })).toContain(
      'Makefile is not there',
    );
  });

  it('but not for what rules of make itself, a file or an unread rule may bring', async () => {
    for (const line of ['make other', 'make hello', 'make hello.o', 'make hello.c'])
      expect(await reasonOf(line, { cwd: folderWith(files) }), line).toContain('planned');
    const open = 'define r\n$(1):\n\ttrue\nendef\n$(eval $(call r,nope))\n';
    expect(await reasonOf('make nope', { cwd: folderWith({ Makefile: open }) })).toContain(
      'planned',
    );
    const include = folderWith({ Makefile: 'include gen.mk\ngen.mk:\n\ttrue\n' });
    expect(await reasonOf('make nope', { cwd: include })).toContain('planned');
  });

  it('and look again once the makefile has the goal', async () => {
    const cwd = folderWith(files);
    const context = newContext();
    expect((await planOf('make nope', { cwd, context })).ok).toBe(false);
    put(cwd, { Makefile: 'nope:\n\techo a longer makefile\n' });
    expect((await planOf('make nope', { cwd, context })).ok).toBe(true);
  });
});

it('knows when crates are missing that the command may not need', () => {
  // cargo 1.95, asked with --locked --offline.
  expect(mayDoWithout('failed to download `ryu v1.0.23`')).toBe(true);
  expect(mayDoWithout('no matching package named `ryu` found')).toBe(false);
  expect(mayDoWithout('cannot create the lock file /p/Cargo.lock because --locked')).toBe(false);
});
