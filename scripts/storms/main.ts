/** scripts/storm: one storm as the command line wants it, and its report. */
import { parseArgs } from 'node:util';
import { reportText } from './report.ts';
import { runStorm } from './storm.ts';

const { values } = parseArgs({
  options: {
    callers: { type: 'string', default: '16' },
    builds: { type: 'string', default: '10' },
    cargo: { type: 'string', default: '4' },
    weight: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'boolean', default: false },
  },
});
const [callers = 0, builds = 0, cargo = 0, weight = 0, seed = 0] = [
  values.callers,
  values.builds,
  values.cargo,
  values.weight,
  values.seed,
].map(Number);
const whole = [callers, builds, cargo, weight, seed].every(
  (each) => Number.isInteger(each) && each >= 0,
);
if (!whole || callers === 0 || builds === 0 || weight === 0 || cargo > callers) {
  process.stderr.write('storm: whole numbers, please, and not more of cargo than callers\n');
  process.exitCode = 2;
} else {
  const begun = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    process.stderr.write(`storm: ${seconds} s: ${text}\n`);
  };
  const report = await runStorm({ callers, builds, cargo, seed, weight, measure: true, say });
  process.stdout.write(
    `${values.json ? JSON.stringify(report, undefined, 2) : reportText(report)}\n`,
  );
  process.exitCode = report.wrong.length === 0 ? 0 : 1;
}
