/** Whether a build may have ended as it did, and run as often as it did. Decides only. */
import type { Ended, HistoryRow } from '../../test/rig/world.ts';
import { losing, type FaultKind, type StepPlan } from './plan.ts';

export type Tally = {
  builds: number;
  right: number;
  /** Ended with 102, and with a message. */
  lost: number;
  /** By the SIGKILL of a fault. */
  killed: number;
  /** The tool itself failed, for want of room. */
  failed: number;
};

/** How often a build ran, by its own marks. */
export type Runs = { readonly here: number; readonly there: number };

export type Circumstances = {
  /** All that was wrong meanwhile, in any lane. */
  readonly wrong: ReadonlySet<FaultKind>;
  readonly plan: StepPlan;
  /** Is counted up. */
  readonly tally: Tally;
};

/** The exit code of our own failure. */
export const LOST = 102;

/** What is wrong with the end of one command, in words. */
export function judgeEnd(
  { code, signal, stdout, stderr }: Ended,
  { wrong, plan, tally }: Circumstances,
): string[] {
  const said = stderr.toString();
  const killed = plan.faults.some(({ kind }) => kind === 'shim-killed');
  tally.builds += 1;
  if (code === 0) {
    tally.right += 1;
    const whole = /(^|\n)sum -?\d+\n$/.test(stdout.toString());
    return [
      ...(whole ? [] : ['its output has no end']),
      ...(said === '' ? [] : [`it ended well, and said ${JSON.stringify(said)}`]),
    ];
  }
  if (signal === 'SIGKILL' && killed) {
    tally.killed += 1;
    return [];
  }
  if (code === LOST && /^rch: \S.*\n$/.test(said)) {
    tally.lost += 1;
    if ([...wrong].some((kind) => losing.has(kind))) return [];
    return [`it was lost by ${[...wrong].join(', ') || 'nothing'}, which loses nothing: ${said}`];
  }
  if (
    wrong.has('disk-full') &&
    /No space left|cannot (write|create)|final link failed/.test(said)
  ) {
    tally.failed += 1;
    return [];
  }
  return [`it ended with ${signal ?? code ?? 'nothing'}: ${JSON.stringify(said.slice(-400))}`];
}

/** What is wrong with how often the commands of one step ran, in words. `rows`: what was written down of them. */
export function judgeRuns(
  ends: readonly Ended[],
  { here, there }: Runs,
  rows: readonly HistoryRow[],
): string[] {
  const ran = `${here} times here and ${there} times on workers`;
  const well = ends.filter(({ code }) => code === 0).length;
  const lost = ends.filter(({ code }) => code === LOST).length;
  // Whom another's run served ran nothing.
  const served = rows.filter(({ joined }) => joined !== undefined).length;
  const most = Math.max(1, ends.length - served);
  if (here + there > most) return [`it ran ${ran}, at most ${most} were right`];
  if (well > 0 && here + there === 0) return ['it ended well, and never ran'];
  if (here > ends.length - lost) return [`it was lost, and ran ${ran}`];
  return [];
}
