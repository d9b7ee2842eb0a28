import { expect, test } from 'vitest';
import { admitted, IDLE_GRACE, LONGEST_WAIT } from '../../../daemon/lifecycle/queue.ts';

const waiting = [0, 10, 20].map((since, id) => ({ id, since }));
const view = { waiting, running: 2, limit: 2, idleMs: 0, now: 100 };

test('a free place admits the first, and nobody is admitted without one', () => {
  expect(admitted(view)).toBe(0);
  expect(admitted({ ...view, running: 1 })).toBe(1);
  expect(admitted({ ...view, running: 0, limit: 8 })).toBe(3);
});

test('an idle machine lets one more go: what holds the places may wait for it', () => {
  expect(admitted({ ...view, idleMs: IDLE_GRACE })).toBe(1);
});

test('nobody waits beyond the longest wait', () => {
  expect(admitted({ ...view, now: LONGEST_WAIT + 10 })).toBe(2);
});
