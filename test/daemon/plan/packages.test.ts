/** Whose package a file is, asked by many at once. */
import { expect, it, test } from 'vitest';
import { PlanCaches } from '../../../daemon/plan/caches.ts';
import { ownerQueries, ownersOf } from '../../../daemon/plan/packages.ts';
import { parseApk, parseTabbed, RPM_NAME } from '../../../src/facts/packages.ts';
import { machine } from './world.ts';

test('many who ask at once each get their own answers', async () => {
  const caches = new PlanCaches();
  const questions = [
    ['/usr/bin/make'],
    ['/usr/bin/make', '/bin/sh', '/nonexistent'],
    ['/usr/bin/dpkg-query', '/usr/bin/make'],
    ['/nonexistent'],
    [],
  ];
  const answers = await Promise.all(
    questions.map(async (files) => Object.fromEntries(await ownersOf(files, machine, caches))),
  );
  expect(answers).toEqual([
    { '/usr/bin/make': 'make' },
    { '/usr/bin/make': 'make', '/bin/sh': 'dash' },
    { '/usr/bin/make': 'make', '/usr/bin/dpkg-query': 'dpkg' },
    {},
    {},
  ]);
});

it.each([
  ['rpm', 'zlib-devel.x86_64\n', parseTabbed('zlib-devel.x86_64\t1.3-1.fc40\n')],
  ['pacman', 'zlib\n', parseTabbed('zlib 1:1.3.1-2\n')],
  // apk-tools 2 and 3 with -q, and as both say it without.
  ['apk', 'zlib-dev\n', parseApk('P:zlib-dev\nV:1.3.1-r1\n')],
  ['apk', 'libstdc++6\n', parseApk('P:libstdc++6\nV:13.2-r1\n')],
  ['apk', '/x y is owned by zlib-dev-1.3.1-r1\n', parseApk('P:zlib-dev\nV:1.3.1-r1\n')],
  ['apk', '/x symlink target is owned by gtk-4.0-1.2_p1-r10\n', parseApk('P:gtk-4.0\nV:1\n')],
] as const)('%s names the owner %j as its list of packages does', (manager, said, packages) => {
  expect(Object.keys(packages)).toEqual([ownerQueries[manager].name.exec(said)?.[1]]);
});

test('rpm is asked for owners by the name of its list', () => {
  expect(ownerQueries.rpm.argv.at(-1)).toBe(`${RPM_NAME}\\n`);
});
