import { expect, test } from 'vitest';
import { ClockEstimate } from '../../../daemon/link/clock-estimate.ts';

const ms = 1_000_000n;
const second = 1000n * ms;

/** An answer after `trip`, from a clock that is `offset` off. */
function ask(estimate: ClockEstimate, at: bigint, offset: bigint, trip = ms): bigint {
  return estimate.add(at, at + trip / 2n + offset, at + trip);
}

test('the shortest round trip tells best', () => {
  const estimate = new ClockEstimate();
  expect(ask(estimate, 0n, 5n * second, 100n * ms)).toBe(0n);
  expect(ask(estimate, second, 5n * second)).toBe(0n);
  expect(estimate.add(2n * second, 7n * second + 90n * ms, 2n * second + 100n * ms)).toBe(0n);
  expect(estimate.offset).toBe(5n * second);
  expect(estimate.roundTrip).toBe(1);
});

test('a clock that was set is noticed at once, and what was known before counts for nothing', () => {
  const estimate = new ClockEstimate();
  for (let at = 0n; at < 4n; at++) ask(estimate, at * second, 0n);
  // A slow answer, which the samples before would outweigh.
  const step = ask(estimate, 10n * second, 3600n * second, 40n * ms);
  expect(step).toBe(3600n * second);
  expect(estimate.offset).toBe(3600n * second);
  expect(ask(estimate, 20n * second, 3600n * second)).toBe(0n);
  expect(ask(estimate, 30n * second, 0n)).toBe(-3600n * second);
});

test('drift and slow answers are no steps', () => {
  const estimate = new ClockEstimate();
  expect(ask(estimate, 0n, 0n)).toBe(0n);
  expect(ask(estimate, 80n * second, 40n * ms)).toBe(0n);
  // All of its two seconds on one way.
  expect(estimate.add(90n * second, 92n * second, 92n * second)).toBe(0n);
});

test('clocks that are slowly brought together are told of now and then', () => {
  const estimate = new ClockEstimate();
  const told: number[] = [];
  for (let at = 0n; at < 100n; at++) {
    expect(ask(estimate, at * second, at * 5n * ms - second)).toBe(0n);
    if (estimate.moved()) told.push(Number(estimate.offset / ms));
  }
  expect(told).toEqual([-895, -790, -685, -580]);
});
