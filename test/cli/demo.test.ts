import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Line } from './rig.ts';

let line: Line;
beforeAll(async () => {
  line = await Line.create('');
});
afterAll(async () => {
  await line.world.dispose();
});

type Facts = {
  ok: boolean;
  builds: {
    project: string;
    worker: string | null;
    fresh: boolean;
    products: { same: boolean }[];
  }[];
};

it('builds both projects on the embedded worker with equal results, and leaves no trace but history', async () => {
  const began = Date.now();
  const facts = (await line.facts(['demo'])) as Facts;
  expect(facts.builds.map((built) => built.worker)).toEqual(facts.builds.map(() => 'embedded'));
  expect(facts.builds.map((built) => built.project)).toEqual(['C with make', 'Rust with cargo']);
  expect(facts.builds.every((built) => built.fresh)).toBe(true);
  expect(facts.builds.flatMap((built) => built.products).every((product) => product.same)).toBe(
    true,
  );
  expect(facts.ok).toBe(true);

  const cache = join(line.world.home, '.cache', 'rch');
  expect(readdirSync(cache).filter((name) => name.startsWith('demo-'))).toEqual([]);
  expect(existsSync(line.config('config.toml'))).toBe(false);
  const { workers } = (await line.facts(['status'])) as { workers: unknown[] };
  expect(workers).toEqual([]);
  const history = (await line.facts(['history', '-n', '99'])) as {
    decision: string;
    startedAt: string;
  }[];
  const made = history.filter(({ startedAt }) => Date.parse(startedAt) >= began);
  expect(made.map((row) => row.decision)).toEqual(['remote', 'remote']);
});

it('takes the embedded worker that the user has, and leaves it as it was', async () => {
  line.world.writeConfig('workers.toml', '[[workers]]\nid = "mine"\ntransport = "embedded"\n');
  const facts = (await line.facts(['demo'])) as Facts;
  expect(facts.builds.map((built) => built.worker)).toEqual(facts.builds.map(() => 'mine'));
  expect(facts.ok).toBe(true);
  const { workers } = (await line.facts(['status'])) as { workers: { id: string }[] };
  expect(workers.map(({ id }) => id)).toEqual(['mine']);
  const second = await line.say(['workers', 'add', '--id', 'b', '--transport', 'embedded']);
  expect(second.code).not.toBe(0);
  expect(second.err).toContain('only one worker can be embedded, and mine is');
});
