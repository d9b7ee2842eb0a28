/** A real `./configure`, whose hundreds of compiler calls all go through the shims and all stay here. */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { debianSource } from '../../test/rig/sources.ts';
import { median, ms, type Line } from './measure.ts';
import { quote, TimedShell } from './timed-shell.ts';
import type { Stage } from './stage.ts';

/** GNU hello: a configure of autoconf and gnulib. */
const PACKAGE = 'hello';

export async function configure(stage: Stage, rounds: number): Promise<Line[]> {
  const source = join(stage.folder, PACKAGE);
  cpSync(await debianSource(PACKAGE), source, { recursive: true, preserveTimestamps: true });
  // As a user has it: nothing is forced to a worker.
  const shells = {
    shim: new TimedShell([], stage.world.shimEnv()),
    real: new TimedShell([], stage.world.env),
  };
  const took: Record<keyof typeof shells, number[]> = { shim: [], real: [] };
  let calls = 0;
  try {
    for (let round = 0; round < 2 * rounds; round++) {
      // By turns, so that what warms up or slows down in the course of time is in both.
      const order = round % 2 === 0 ? (['shim', 'real'] as const) : (['real', 'shim'] as const);
      for (const way of order) {
        const build = join(stage.folder, `configure-${way}-${round}`);
        mkdirSync(build);
        const line = `cd ${quote(build)} && FORCE_UNSAFE_CONFIGURE=1 ${quote(`${source}/configure`)} -q`;
        took[way].push((await shells[way].must(line)).took);
        if (way !== 'shim') continue;
        const rows = await stage.world.history(10_000);
        calls = rows.filter((row) => row.cwd === build).length;
      }
    }
  } finally {
    await shells.shim.close();
    await shells.real.close();
  }
  if (calls === 0) throw new Error('no call of this configure went through a shim');
  const ratio = median(took.shim.map((value, at) => value / (took.real[at] ?? NaN)));
  return [
    {
      bench: 'configure',
      what: `./configure of GNU ${PACKAGE}, ${calls} calls through the shims`,
      measured: ms(median(took.shim)),
      baseline: ms(median(took.real)),
      ratio,
      goal: '≤ 1.03×',
      met: ratio <= 1.03,
    },
  ];
}
