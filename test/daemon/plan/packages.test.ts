/** Whose package a file is, asked by many at once. */
import { expect, test } from 'vitest';
import { PlanCaches } from '../../../daemon/plan/caches.ts';
import { ownersOf } from '../../../daemon/plan/packages.ts';
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
