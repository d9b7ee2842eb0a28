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
const PAUSE = 500;

type Shares = { readonly p50: number; readonly p99: number };

/**
 * ms. `added`: at the median, of what the shim adds in a pair; at the 99th percentile, between the two distributions,
 * as in the benchmarks. What one pair adds says nothing there: on a machine with more to do than cores, either run of
 * a pair may be the one that waits for a core. `control` is how far one run without rch is above another.
 */
export type Latency = {
  readonly pairs: number;
  readonly shim: Shares;
  readonly real: Shares;
  readonly added: Shares;
  readonly control: Shares;
};

const shares = (values: readonly number[]): Shares => ({
  p50: percentile(values, 0.5),
  p99: percentile(values, 0.99),
});

function latencyOf(rows: readonly (readonly [number, number])[]): Latency {
  const shim = shares(rows.map(([a]) => a));
  const real = shares(rows.map(([, b]) => b));
  const { p50 } = shares(rows.map(([a, b]) => a - b));
  const control = rows.slice(1).map(([, b], at) => b - (rows[at]?.[1] ?? NaN));
  const added = { p50, p99: shim.p99 - real.p99 };
  return { pairs: rows.length, shim, real, added, control: shares(control) };
}

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
  return latencyOf(rows);
}
