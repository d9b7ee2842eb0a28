import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { EarlyCommits } from '../../../daemon/link/early-commits.ts';
import type { Launcher } from '../../../daemon/link/launchers.ts';
import type { ShimMessage } from '../../../src/protocol/shim.ts';

const signal: ShimMessage = { type: 'signal', signo: 2, count: 1 };

type Line = Pick<Launcher, 'onMessage' | 'onGone'>;

let told: unknown[];
let early: EarlyCommits;
beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  early = new EarlyCommits(100);
});
afterEach(() => {
  vi.useRealTimers();
});

function hold(id: string): Line {
  const line: Line = { onMessage: () => undefined, onGone: () => undefined };
  early.hold(id, line as Launcher, () => {
    told.push(id);
    line.onMessage = (message) => void told.push(message);
  });
  return line;
}

it('lets a launcher wait for a plan that is still on its way, with all that it says meanwhile', () => {
  const line = hold('a');
  line.onMessage(signal);
  early.planned('b');
  expect(told).toEqual([]);
  early.planned('a');
  expect(told).toEqual(['a', signal]);
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(['a', signal]);
});

it('sends one away whose plan does not come, and forgets one that has gone', () => {
  hold('a');
  hold('b').onGone();
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(['a']);
  early.planned('a');
  early.planned('b');
  expect(told).toEqual(['a']);
});
