import { expect, test } from 'vitest';
import { Pace, UploadMeter } from '../../../daemon/link/upload-meter.ts';
import { tooDear } from '../../../daemon/select/upload.ts';

const GB = 1e9;
const slow = 1000; // bytes a ms: 1 MB/s
const fast = 100_000;

test('an upload of hours for a build of seconds is not made', () => {
  const upload = { left: 15 * GB, moved: 0, ms: 0, before: slow };
  expect(tooDear(upload, 10_000)).toBe(
    'to send it 15000 MB at 1.0 MB/s takes about 250 min, and the command about 10 s here',
  );
});

test.each([
  ['100 MB on a fast way', { left: 0.1 * GB, moved: 0, ms: 0, before: fast }, 1000],
  ['some minutes, which are an investment', { left: 0.2 * GB, moved: 0, ms: 0, before: slow }, 500],
  ['many minutes for a long build', { left: 3 * GB, moved: 0, ms: 0, before: slow }, 600_000],
  ['a way nobody measured', { left: 15 * GB, moved: 0, ms: 0, before: undefined }, 10_000],
  [
    'a few bytes of the beginning',
    { left: 15 * GB, moved: 1, ms: 4999, before: undefined },
    10_000,
  ],
  ['whoever insists', { left: 15 * GB, moved: 0, ms: 0, before: slow }, 0],
  ['the end of a long one', { left: 0.1 * GB, moved: 14.9 * GB, ms: 1e7, before: slow }, 10_000],
])('%s goes', (_, upload, hereMs) => {
  expect(tooDear(upload, hereMs)).toBeUndefined();
});

test('what was measured of the very upload counts, and says something of the next for a while', () => {
  let now = 0;
  const pace = new Pace();
  const said: string[] = [];
  const meter = (hereMs: number): UploadMeter =>
    new UploadMeter({ pace, hereMs, now: () => now, dear: (reason) => said.push(reason) });
  const first = meter(10_000);
  // Into the buffers on the way.
  first.moved(0.05 * GB, 15 * GB);
  now = 2000;
  first.moved(0.1 * GB, 15 * GB);
  now = 6000;
  first.moved(0.1 * GB + 4000 * slow, 15 * GB);
  expect(said).toEqual([]);
  now = 8000;
  first.moved(0.1 * GB + 6000 * slow, 15 * GB);
  first.moved(0.1 * GB + 6001 * slow, 15 * GB);
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/^to send it 14894 MB at 1\.0 MB\/s takes about 248 min/);
  meter(10_000).moved(0, 15 * GB);
  expect(said).toHaveLength(2);
  now += 700_000;
  meter(10_000).moved(0, 15 * GB);
  expect(said).toHaveLength(2);
});

test('each root that is sent is measured from its own beginning', () => {
  let now = 0;
  const said: string[] = [];
  const pace = new Pace();
  const meter = new UploadMeter({ pace, hereMs: 1, now: () => now, dear: (why) => said.push(why) });
  meter.moved(0, 1e6);
  now = 60_000;
  meter.moved(0, 0.1 * GB);
  now = 60_001;
  meter.moved(1e6, 0.1 * GB);
  expect(said).toEqual([]);
});
