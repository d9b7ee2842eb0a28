import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BuildScanner, type BuildQuestion } from '../../../daemon/plan/build-needs.ts';
import { isSourcePath } from '../../../daemon/plan/needs/source-name.ts';
import { ToldProject, type Told } from '../../../daemon/plan/needs/told-project.ts';
import { clockPasses } from '../../tree/rig.ts';
import { folderWith } from './world.ts';

const told = (change: Partial<Told>): Told => ({
  ...{ look: 'a:1', whole: false, put: [], links: [], gone: [], since: Date.now() },
  ...change,
});

it('holds what was read of a file until a look tells of it', () => {
  const project = new ToldProject('/p');
  const facts = { includes: [], defines: ['X'], outward: [], angled: [] };
  project.take(told({ whole: true, put: ['a/x.c', 'b/x.c'], links: ['l.c'] }));
  expect(project.index.get('x.c')).toEqual(['/p/a/x.c', '/p/b/x.c']);
  for (const path of ['/p/a/x.c', '/p/b/x.c', '/p/l.c', '/p/unknown.c'])
    project.wasRead(path, facts);
  expect(project.factsOf('/p/a/x.c')).toBe(facts);
  expect(project.factsOf('/p/l.c')).toBeUndefined();
  expect(project.factsOf('/p/unknown.c')).toBeUndefined();
  const { version } = project;
  project.take(told({ look: 'a:2', put: ['a/x.c'], gone: ['b/x.c'] }));
  expect(project.version).not.toBe(version);
  expect(project.factsOf('/p/a/x.c')).toBeUndefined();
  expect(project.index.get('x.c')).toEqual(['/p/a/x.c']);
  project.take(told({ look: 'b:1', whole: true, put: ['n.c'] }));
  expect([...project.index.keys()]).toEqual(['n.c']);
  expect(project.look).toBe('b:1');
});

it('takes for sources what a build may read, and nothing of version control', () => {
  expect(['a.c', 'x/y.hpp', 'x.S'].every(isSourcePath)).toBe(true);
  expect(['a.o', '.git/x.c', 'x/node_modules/y.h', 'Makefile'].some(isSourcePath)).toBe(false);
});

it('a build of many sources rests on looks, and sees each edit that a look tells of', async () => {
  const names = Array.from({ length: 400 }, (_, n) => `u${n}.c`);
  const root = folderWith({
    Makefile: 'out: $(wildcard *.c)\n\tcc -o out $^\n',
    ...Object.fromEntries(names.map((name) => [name, '#include <stdio.h>\n'])),
  });
  await clockPasses();
  const scanner = new BuildScanner();
  const scope = { given: new Map<string, string>(), environment: new Map<string, string>() };
  const question: BuildQuestion = {
    ...{
      family: 'make',
      directory: root,
      root,
      files: [],
      goals: [],
      scope,
      withheld: new Set<string>(),
    },
  };
  const asked: string[] = [];
  let next: Told | undefined;
  const headers = async (): Promise<string[]> => {
    const found = await scanner.scan(question, (last) => {
      asked.push(last);
      return Promise.resolve(next);
    });
    return [...(found?.needs.headers ?? [])];
  };
  // The first time nobody knows that it is large.
  expect(await headers()).toEqual(['stdio.h']);
  expect(asked).toEqual([]);
  next = told({ whole: true, put: names });
  expect(await headers()).toEqual(['stdio.h']);
  writeFileSync(join(root, 'u7.c'), '#include <curses.h>\n');
  next = told({ look: 'a:2', put: ['u7.c'] });
  expect((await headers()).sort()).toEqual(['curses.h', 'stdio.h']);
  next = told({ look: 'a:3', gone: ['u7.c'] });
  expect(await headers()).toEqual(['stdio.h']);
  expect(asked).toEqual(['', 'a:1', 'a:2']);
  // Where nobody can look, the files are looked at here.
  next = undefined;
  expect((await headers()).sort()).toEqual(['curses.h', 'stdio.h']);
});
