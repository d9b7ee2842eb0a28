/** What a command that stays here costs: `gcc --version` through the shim against the real one. */
import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startTimeOf } from '../../src/base/processes.ts';
import { median, ms, percentile, type Line } from './measure.ts';
import type { Stage } from './stage.ts';

const execute = promisify(execFile);
const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const QUIET_PAIRS = 300;
const STREAMING_PAIRS = 600;
const STREAMS = 4;

/** Prints about 1 MB a second, for two minutes unless it is ended. */
const STREAM = `#include <string.h>
#include <unistd.h>
int main(void)
{
    char text[10000];
    memset(text, 'x', sizeof text);
    for (size_t i = 79; i < sizeof text; i += 80) text[i] = '\\n';
    for (int i = 0; i < 12000; i++) {
        if (write(1, text, sizeof text) < 0) return 1;
        usleep(10000);
    }
    return 0;
}
`;

type Pairs = { readonly shim: readonly number[]; readonly real: readonly number[] };

/** ms of each run. */
async function pairs(
  stage: Stage,
  program: string,
  count: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Pairs> {
  const path = (await execute('/bin/sh', ['-c', 'command -v gcc'])).stdout.trim();
  const shim = join(stage.world.data, 'shims', 'gcc');
  const { stdout } = await execute(
    program,
    [String(count), shim, '--version', '--', path, '--version'],
    { env: stage.world.shimEnv(env), maxBuffer: 1 << 24 },
  );
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map((text) => Number(text) / 1e6));
  return { shim: rows.map(([a]) => a ?? NaN), real: rows.map(([, b]) => b ?? NaN) };
}

/** The mark that a launcher leaves in the environment of what it runs here: as though this process were a local make. */
function localBuild(): Record<string, string> {
  const start = startTimeOf(process.pid);
  if (start === undefined) throw new Error('no start time in /proc');
  return { RCH_SHIM: `${process.pid}:${start}` };
}

/** A build on the worker that prints and prints; settles when its first output is here. */
async function streaming(stage: Stage, at: number): Promise<ChildProcess> {
  const cwd = join(stage.folder, `stream-${at}`);
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'stream.c'), STREAM);
  writeFileSync(
    join(cwd, 'Makefile'),
    'all: stream\n\t@./stream\nstream: stream.c\n\t@$(CC) -O1 -o $@ $<\n',
  );
  const child = stage.world.spawn(['make'], { cwd, env: { RCH_FORCE_REMOTE: '1' } });
  child.stdin?.end();
  child.stderr?.resume();
  if (child.stdout === null) throw new Error('a child without stdout');
  await once(child.stdout, 'data');
  child.stdout.resume();
  return child;
}

export async function passThrough(stage: Stage): Promise<Line[]> {
  const program = join(stage.folder, 'pairs');
  await execute('cc', ['-O2', '-o', program, join(top, 'scripts', 'benchmarks', 'pairs.c')]);
  await pairs(stage, program, 20);
  const quiet = await pairs(stage, program, QUIET_PAIRS);
  const nested = await pairs(stage, program, QUIET_PAIRS, localBuild());
  const children: ChildProcess[] = [];
  let busy: Pairs;
  try {
    for (let at = 0; at < STREAMS; at++) children.push(await streaming(stage, at));
    busy = await pairs(stage, program, STREAMING_PAIRS);
  } finally {
    for (const child of children) {
      const gone = once(child, 'close');
      child.kill('SIGTERM');
      await gone;
    }
  }
  return [
    line('gcc --version, median', { ...quiet, share: 0.5, goal: 1 }),
    line('the same inside a local build, median', { ...nested, share: 0.5, goal: 1 }),
    line('the same while 4 builds stream, median', { ...busy, share: 0.5 }),
    line('the same while 4 builds stream, p99', { ...busy, share: 0.99, goal: 3 }),
  ];
}

function line(what: string, of: Pairs & { share: number; goal?: number }): Line {
  const shim = percentile(of.shim, of.share);
  const real = percentile(of.real, of.share);
  // Of pairs, so that what slows both is in neither.
  const added =
    of.share === 0.5
      ? median(of.shim.map((value, at) => value - (of.real[at] ?? NaN)))
      : shim - real;
  return {
    bench: 'pass-through',
    what: `${what} (+${ms(added)})`,
    measured: ms(shim),
    baseline: ms(real),
    ratio: shim / real,
    goal: of.goal === undefined ? '' : `+${of.goal} ms`,
    met: of.goal === undefined ? undefined : added <= of.goal,
  };
}
