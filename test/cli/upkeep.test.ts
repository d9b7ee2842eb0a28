/** `rch gc` and `rch workers benchmark` against a worker that is a process here. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { Line } from './rig.ts';

let line: Line;

beforeAll(async () => {
  line = await Line.create('[[workers]]\nid = "here"\ntransport = "embedded"\n');
  await line.world.start();
  expect(await line.say(['workers', 'probe', 'here'])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await line.world.dispose();
});

it('gc frees what a build left on the worker, and tells what and how much', async () => {
  const project = mkdtempSync(join(line.world.root, 'p'));
  writeFileSync(join(project, 'Makefile'), 'x:\n\techo made > x\n');
  writeFileSync(join(project, 'noise'), Buffer.alloc(3_000_000, 'noise'));
  const env = { RCH_FORCE_REMOTE: '1' };
  const built = await line.world.run(['make'], { cwd: project, env });
  expect(built.code).toBe(0);
  expect(await line.world.history(1)).toMatchObject([{ decision: 'remote', worker: 'here' }]);
  const said = await line.say(['gc', '--worker', 'here', '--to-mb', '0']);
  expect(said).toMatchObject({ code: 0, err: '' });
  expect(said.out).toMatch(/^here: freed [\d.]+ MB \(.*\), holds /);
  const [row] = (await line.facts(['gc'])) as { worker: string; freed: number; error: string }[];
  expect(row).toMatchObject({ worker: 'here', freed: 0, error: '' });
  writeFileSync(join(project, 'Makefile'), 'x:\n\techo again > x\n');
  expect((await line.world.run(['make', '-B'], { cwd: project, env })).code).toBe(0);
});

it('gc of a worker that nobody knows says which there are', async () => {
  const said = await line.say(['gc', '--worker', 'nobody']);
  expect(said.code).not.toBe(0);
  expect(said.err).toContain('no worker is called "nobody": there are here');
});

it('benchmark measures a worker, and its score is shown from then on', async () => {
  const said = await line.say(['workers', 'benchmark', 'here']);
  expect(said).toMatchObject({ code: 0 });
  expect(said.out).toMatch(/here +\d+\.\d/);
  const { workers } = (await line.facts(['status'])) as { workers: { speed: number | null }[] };
  expect(workers).toMatchObject([{ id: 'here', speed: expect.any(Number) as number }]);
});

it('gc and benchmark name the worker that is not connected, and what to do', async () => {
  const add = ['workers', 'add', '--id', 'dead', '--transport', 'command', '--', 'false'];
  expect((await line.say(add)).code).toBe(0);
  onTestFinished(async () => {
    await line.say(['workers', 'remove', 'dead']);
  });
  for (const words of [
    ['gc', 'dead'],
    ['workers', 'benchmark', 'dead'],
  ]) {
    const said = await line.say(words);
    expect(said.code).toBe(1);
    expect(said.err).toMatch(/^rch: dead is not connected: .+\n +next: .+/);
  }
});
