/** `rch doctor`: the whole chain from a shell to a compile on each worker, step by step, and what mends it. */
import { messageOf, ok } from '../../base/result.ts';
import { folderGone } from '../failure.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { areas, failed, type Area, type AreaName, type Check } from './check.ts';
import { checkConfiguration } from './configuration.ts';
import { checkDaemon } from './daemon.ts';
import { checkHook } from './hook.ts';
import { checkInstallation } from './installation.ts';
import { checkPath } from './path.ts';
import { doctorText, tally, type Examined, type Fixed } from './render.ts';
import { checkWorkers } from './workers.ts';

const looks: Readonly<Record<AreaName, Area>> = {
  installation: checkInstallation,
  path: checkPath,
  config: checkConfiguration,
  daemon: checkDaemon,
  workers: checkWorkers,
  hook: checkHook,
};

/** A look that itself breaks must not hide the others. */
async function look(area: AreaName, context: Context): Promise<Check[]> {
  try {
    return await looks[area](context);
  } catch (thrown) {
    const at = { id: area, title: 'the look itself' };
    const gone = folderGone(thrown);
    if (gone !== undefined) return [failed(at, gone.reason, { mend: gone.next })];
    return [failed(at, messageOf(thrown), { mend: 'report this, with `rch doctor --json`' })];
  }
}

async function mend(checks: readonly Check[]): Promise<Fixed[]> {
  const fixed: Fixed[] = [];
  for (const { id, fix } of checks) {
    if (fix === undefined) continue;
    try {
      const done = await fix();
      fixed.push({ id, done: done.ok, what: done.ok ? done.value : done.failure.reason });
    } catch (thrown) {
      fixed.push({ id, done: false, what: messageOf(thrown) });
    }
  }
  return fixed;
}

/** One area; where something was mended, it is looked at again. */
async function examine(area: AreaName, context: Context, fixing: boolean): Promise<Examined> {
  const checks = await look(area, context);
  const fixed = fixing ? await mend(checks) : [];
  return { area, fixed, checks: fixed.length === 0 ? checks : await look(area, context) };
}

export type DoctorOptions = {
  readonly fix: boolean;
  /** All when empty. */
  readonly only: readonly AreaName[];
};

export async function doctor(context: Context, { fix, only }: DoctorOptions): Promise<Outcome> {
  const examined: Examined[] = [];
  for (const area of areas) {
    if (only.length > 0 && !only.includes(area)) continue;
    if (area === 'workers') context.note('looking at the workers …');
    examined.push(await examine(area, context, fix));
  }
  const counts = tally(examined);
  return ok({
    facts: {
      ok: counts.fail === 0,
      counts,
      checks: examined.flatMap(({ area, checks }) =>
        checks.map(({ fix: safe, ...check }) => ({ area, ...check, fixable: safe !== undefined })),
      ),
      fixed: examined.flatMap(({ fixed }) => fixed),
    },
    text: (how) => doctorText(examined, fix, how),
    exit: counts.fail === 0 ? exitCodes.done : exitCodes.failed,
  });
}
