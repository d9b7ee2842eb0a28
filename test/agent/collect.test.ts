import { expect, test } from 'vitest';
import { boundOf } from '../../src/agent/collect.ts';

const GB = 1e9;

test('what is held is bounded by what the workstations allow, and by what it leaves of the disk', () => {
  expect(boundOf(20 * GB, 3 * GB, 50 * GB)).toBe(20 * GB);
  expect(boundOf(Number.POSITIVE_INFINITY, 3 * GB, 1 * GB)).toBeCloseTo(3.58 * GB, -7);
  expect(boundOf(20 * GB, 3 * GB, 0)).toBeCloseTo(2.58 * GB, -7);
  expect(boundOf(20 * GB, 0.1 * GB, 0)).toBe(0);
});
