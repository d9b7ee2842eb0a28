/** `scripts/chaos`: the options, and the report. */
import { parseArgs } from 'node:util';
import { chaos } from './run.ts';
import { Site } from './site.ts';

function wholeNumber(text: string, name: string): number {
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text) || value < 1) {
    process.stderr.write(`chaos: --${name} must be a whole number of at least 1\n`);
    process.exit(2);
  }
  return value;
}

const { values } = parseArgs({
  options: {
    builds: { type: 'string', default: '200' },
    lanes: { type: 'string', default: '2' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    verbose: { type: 'boolean', default: false },
  },
});
const builds = wholeNumber(values.builds, 'builds');
const seed = wholeNumber(values.seed, 'seed');
const lanes = wholeNumber(values.lanes, 'lanes');
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
say(`chaos: ${builds} builds in ${lanes} lanes, seed ${seed}`);
const site = await Site.set('chaos', wholeNumber(values.workers, 'workers'));
try {
  const log = (text: string): void => {
    if (values.verbose || text.startsWith('FINDING')) say(text);
  };
  const { findings, tally, faults, remote, ms } = await chaos(site, { seed, builds, lanes, log });
  const { right, lost, killed, failed } = tally;
  say(
    `${tally.builds} builds in ${Math.round(ms / 1000)} s; ${remote} ran on a worker to their end`,
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
