/** The report of a storm in words. */
import { ms } from '../benchmarks/measure.ts';
import type { StormReport } from './storm.ts';

const LATENCY_GOAL = 5;
const CPU_GOAL = 0.03;

const parts = (rch: StormReport['cpu']['rch']): string =>
  Object.entries(rch)
    .map(([part, seconds]) => `${part} ${seconds.toFixed(1)}`)
    .join(', ');

const verdict = (met: boolean): string => (met ? 'ok' : 'MISS');

export function reportText(report: StormReport): string {
  const { cpu, latency, waits } = report;
  const rch = Object.values(cpu.rch).reduce((sum, seconds) => sum + seconds, 0);
  const share = cpu.offloaded === 0 ? 0 : rch / cpu.offloaded;
  const median = waits[Math.floor(waits.length / 2)] ?? 0;
  return [
    `seed ${report.seed}: ${report.builds} builds in ${report.seconds.toFixed(0)} s, ${report.remote} elsewhere, ${report.local} here`,
    ...(report.alone === 0
      ? []
      : [`  here, ${report.alone}: the daemon did not acknowledge in time`]),
    ...Object.entries(report.reasons).map(([reason, count]) => `  here, ${count}: ${reason}`),
    ...report.workers.map(
      ({ id, slots, most, jobs }) => `${id}: ${jobs} jobs, at most ${most} of ${slots} slots`,
    ),
    `waits of a caller: least ${ms(waits[0] ?? 0)}, median ${ms(median)}, most ${ms(waits.at(-1) ?? 0)} (at most twice the median)`,
    ...(latency === undefined
      ? []
      : [
          `a command that stays here (${latency.pairs} pairs): p50 ${ms(latency.shim.p50)}, p99 ${ms(latency.shim.p99)}`,
          `  without rch: p50 ${ms(latency.real.p50)}, p99 ${ms(latency.real.p99)}`,
          `  one run of these above the one before: p50 ${ms(latency.control.p50)}, p99 ${ms(latency.control.p99)}`,
          `  added: p50 ${ms(latency.added.p50)}, p99 ${ms(latency.added.p99)}; goal ${LATENCY_GOAL} ms: ${verdict(latency.added.p99 < LATENCY_GOAL)}`,
        ]),
    `CPU of rch here: ${rch.toFixed(1)} s (${parts(cpu.rch)}) for ${cpu.offloaded.toFixed(1)} s of builds elsewhere: ${(share * 100).toFixed(1)} %; goal ${CPU_GOAL * 100} %: ${verdict(share < CPU_GOAL)}`,
    `  of a build: ${ms((rch * 1000) / report.builds)} here, ${ms((cpu.offloaded * 1000) / Math.max(1, report.remote))} elsewhere; the goal holds from ${ms((rch * 1000) / report.builds / CPU_GOAL)} on`,
    report.wrong.length === 0
      ? 'everything held'
      : `did not hold:\n${report.wrong.map((text) => `  ${text}`).join('\n')}`,
  ].join('\n');
}
