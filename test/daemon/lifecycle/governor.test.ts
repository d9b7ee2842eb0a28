import fc from 'fast-check';
import { expect, test } from 'vitest';
import { admitted, IDLE_GRACE } from '../../../daemon/lifecycle/governor.ts';

const waiting = [0, 10, 20].map((since) => ({ since, cores: 1 }));
const view = {
  ...{ waiting, used: 2, running: 2, limit: 2, idleMs: 0, longestWait: 600_000, now: 100 },
};

test('free cores admit the first, and nobody is admitted without one', () => {
  expect(admitted(view)).toEqual([]);
  expect(admitted({ ...view, used: 1, running: 1 })).toEqual([0]);
  expect(admitted({ ...view, used: 0, running: 0, limit: 8 })).toEqual([0, 1, 2]);
});

test('a wide command is not overtaken, and gets all cores when nothing else runs', () => {
  const wide = [{ since: 0, cores: 4 }, ...waiting];
  expect(admitted({ ...view, waiting: wide, limit: 4, used: 1, running: 1 })).toEqual([]);
  expect(admitted({ ...view, waiting: wide, limit: 4, used: 0, running: 0 })).toEqual([0]);
});

test('an idle machine lets one more go: what holds the cores may wait for it', () => {
  expect(admitted({ ...view, idleMs: IDLE_GRACE })).toEqual([0]);
});

test('nobody waits beyond the longest wait', () => {
  expect(admitted({ ...view, now: 600_010 })).toEqual([0, 1]);
  expect(admitted({ ...view, longestWait: 0 })).toEqual([0, 1, 2]);
});

test('whoever has waited too long goes also from behind others that came later', () => {
  const behind = [{ since: 600_000, cores: 1 }, ...waiting, { since: 600_001, cores: 1 }];
  expect(admitted({ ...view, waiting: behind, now: 600_010 })).toEqual([1, 2]);
});

test('what is admitted keeps no more cores busy than there are, but for one command alone', () => {
  const candidate = fc.record({ since: fc.constant(90), cores: fc.integer({ min: 1, max: 6 }) });
  fc.assert(
    fc.property(fc.array(candidate), fc.integer({ min: 0, max: 8 }), (line, used) => {
      const running = used;
      const count = admitted({ ...view, waiting: line, used, running, limit: 6 }).length;
      const taken = line.slice(0, count).reduce((sum, { cores }) => sum + cores, used);
      if (count > 0 && !(running === 0 && count === 1)) expect(taken).toBeLessThanOrEqual(6);
    }),
  );
});
