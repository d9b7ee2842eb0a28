import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { benchmark } from '../../src/agent/benchmark.ts';

test('a machine is measured in every respect, and nothing is left on its disk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rch-speed-'));
  const facts = await benchmark(folder, 2);
  for (const rate of [facts.single, facts.all, facts.memory, facts.disk])
    expect(rate).toBeGreaterThan(0);
  expect(facts.compileMs).toBeGreaterThan(0);
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});
