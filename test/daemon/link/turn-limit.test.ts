import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TurnLimit } from '../../../daemon/link/turn-limit.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** ms after which a job that waits all the time is tired; undefined when it is not within an hour. */
function patience(hereMs: number, mostMs: number): number | undefined {
  const began = performance.now();
  let tired: number | undefined;
  const limit = new TurnLimit({
    hereMs,
    mostMs,
    tired: () => {
      tired = performance.now() - began;
    },
  });
  const over = limit.wait('/r');
  vi.advanceTimersByTime(3_600_000);
  over();
  return tired;
}

test.each([
  ['as long as the command takes here', 9000, 60_000, 9000],
  ['a moment in any case', 100, 60_000, 2000],
  ['no longer than for room', 90_000, 60_000, 60_000],
  ['as long as for room, where it is to go whatever that takes', 0, 60_000, 60_000],
  ['a moment where nobody waits for room', 0, 0, 2000],
])('a job waits %s', (_, hereMs, mostMs, wanted) => {
  expect(patience(hereMs, mostMs)).toBe(wanted);
});

test('several waits count together, and one that is over tires nobody', () => {
  const tired = vi.fn();
  const limit = new TurnLimit({ hereMs: 5000, mostMs: 60_000, tired });
  const first = limit.wait('/r');
  vi.advanceTimersByTime(3000);
  first();
  vi.advanceTimersByTime(60_000);
  expect(tired).not.toHaveBeenCalled();
  limit.wait('/r');
  vi.advanceTimersByTime(1999);
  expect(tired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(tired).toHaveBeenCalledExactlyOnceWith('/r');
});
