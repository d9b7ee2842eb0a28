/** A small storm over three real workers; scripts/storm is the whole one, and measures. */
import { describe, expect, it } from 'vitest';
import { runStorm, sizes } from '../../scripts/storms/storm.ts';
import { noFleet } from '../rig/fleet.ts';

describe.skipIf(noFleet !== undefined)('a storm of builds from many callers', () => {
  it('loses nothing, runs nothing twice, never exceeds a worker, and leaves nothing behind', async () => {
    const said: string[] = [];
    const report = await runStorm({
      ...{ callers: 8, builds: 3, cargo: 2, seed: 20_261, weight: 4, measure: false },
      say: (text) => said.push(text),
    });
    expect(report.wrong, [...report.wrong, ...said].join('; ')).toEqual([]);
    expect(report.builds).toBe(24);
    expect(report.remote + report.local).toBe(24);
    expect(report.workers.map(({ slots }) => slots)).toEqual([...sizes]);
    for (const { most, slots } of report.workers) expect(most).toBeLessThanOrEqual(slots);
  });
});
