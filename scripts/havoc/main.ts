/** `scripts/chaos`: the options, and the report. */
import { parseArgs } from 'node:util';
import { faultKinds } from './plan.ts';
import { chaos } from './run.ts';
import { Site } from './site.ts';

function wholeNumber(text: string, name: string, least = 1): number {
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text) || value < least) {
    process.stderr.write(`chaos: --${name} must be a whole number of at least ${least}\n`);
    process.exit(2);
  }
  return value;
}

const { values } = parseArgs({
  options: {
    builds: { type: 'string', default: '200' },
    lanes: { type: 'string', default: '3' },
    cargo: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    faults: { type: 'string', default: faultKinds.join(',') },
    verbose: { type: 'boolean', default: false },
  },
});
const builds = wholeNumber(values.builds, 'builds');
const seed = wholeNumber(values.seed, 'seed');
const lanes = wholeNumber(values.lanes, 'lanes');
const cargo = Math.min(lanes, wholeNumber(values.cargo, 'cargo', 0));
const wished = values.faults.split(',');
const kinds = faultKinds.filter((kind) => wished.includes(kind));
if (kinds.length !== wished.length) {
  process.stderr.write(`chaos: --faults takes a list of ${faultKinds.join(',')}\n`);
  process.exit(2);
}
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
say(`chaos: ${builds} builds in ${lanes} lanes, ${cargo} with cargo, seed ${seed}`);
const site = await Site.set('chaos', wholeNumber(values.workers, 'workers'));
try {
  const log = (text: string): void => {
    if (values.verbose || text.startsWith('FINDING')) say(text);
  };
  const report = await chaos(site, { seed, builds, lanes, cargo, kinds, log });
  const { findings, tally, faults, remote, joined, ms } = report;
  const { right, lost, killed, failed } = tally;
  say(
    `${tally.builds} commands in ${Math.round(ms / 1000)} s; ${remote} ran on a worker to their end, ${joined} of them by another's run`,
  );
  say(
    `${right} right, ${lost} ended with 102, ${killed} killed, ${failed} without room for the tool`,
  );
  say(
    `faults: ${Object.entries(faults)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}`,
  );
  for (const { lane, build, what } of findings)
    say(`finding: lane ${lane}, build ${build}: ${what}`);
  say(findings.length === 0 ? 'nothing found' : `${findings.length} findings; seed ${seed}`);
  process.exitCode = findings.length === 0 ? 0 : 1;
} finally {
  await site.clear();
}
