/** What a command that stays here costs while the storm blows: `gcc --version` through the shim and without. */
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { World } from '../../test/rig/world.ts';
import { percentile } from '../benchmarks/measure.ts';

const execute = promisify(execFile);
const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Pairs in one go, and ms between two of these. */
const PAIRS = 5;
const PAUSE = 1000;

/** ms; `added` is what the shim adds in a pair. */
export type Latency = {
  readonly pairs: number;
  readonly shim: { readonly p50: number; readonly p99: number };
  readonly real: { readonly p50: number; readonly p99: number };
  readonly added: { readonly p50: number; readonly p99: number };
};

const shares = (values: readonly number[]): { p50: number; p99: number } => ({
  p50: percentile(values, 0.5),
  p99: percentile(values, 0.99),
});

/** Measures until `signal` aborts. */
export async function passThroughDuring(
  world: World,
  folder: string,
  signal: AbortSignal,
): Promise<Latency> {
  const program = join(folder, 'pairs');
  await execute('cc', ['-O2', '-o', program, join(top, 'scripts', 'benchmarks', 'pairs.c')]);
  const real = (await execute('/bin/sh', ['-c', 'command -v gcc'])).stdout.trim();
  const shim = join(world.data, 'shims', 'gcc');
  const rows: (readonly [number, number])[] = [];
  while (!signal.aborted) {
    const args = [String(PAIRS), shim, '--version', '--', real, '--version'];
    const { stdout } = await execute(program, args, { env: world.shimEnv() });
    for (const line of stdout.trim().split('\n')) {
      const [a = NaN, b = NaN] = line.split(' ').map((ns) => Number(ns) / 1e6);
      rows.push([a, b]);
    }
    await delay(PAUSE, undefined, { signal }).catch(() => undefined);
  }
  return {
    pairs: rows.length,
    shim: shares(rows.map(([a]) => a)),
    real: shares(rows.map(([, b]) => b)),
    added: shares(rows.map(([a, b]) => a - b)),
  };
}
