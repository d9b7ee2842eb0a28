import { expect, test } from 'vitest';
import {
  breakerAt,
  breakerRefusal,
  closedBreaker,
  jobFailed,
  jobSaidNothing,
  jobSent,
  jobSucceeded,
  TRIAL_DEADLINE,
  type Breaker,
  type BreakerRules,
} from '../../../daemon/lifecycle/breaker.ts';

const rules: BreakerRules = {
  window: 60_000,
  threshold: 3,
  firstPause: 30_000,
  longestPause: 300_000,
};
const { window: WINDOW, firstPause: FIRST_PAUSE, longestPause: LONGEST_PAUSE } = rules;
const fail = (breaker: Breaker, at: number, weight = 1): Breaker =>
  jobFailed(breaker, { at, weight }, rules);
const failing = (...times: number[]): Breaker =>
  times.reduce<Breaker>((breaker, at) => fail(breaker, at), closedBreaker);

test('three lost jobs in a minute open it, three in an hour do not', () => {
  expect(failing(0, 1, 2).kind).toBe('open');
  expect(failing(0, WINDOW, 2 * WINDOW + 1, 3 * WINDOW + 2).kind).toBe('closed');
});

test('a success forgets the failures before it', () => {
  expect(fail(jobSucceeded(), 3).kind).toBe('closed');
});

test('after the pause one job is on trial, and only its success closes', () => {
  const open = failing(0, 1, 2);
  expect(breakerRefusal(open, 3)).toContain('rests for 30 s more');
  const later = 2 + FIRST_PAUSE;
  expect(breakerRefusal(open, later)).toBeUndefined();
  const trial = jobSent(open, later);
  expect(breakerRefusal(trial, later)).toContain('on trial');
  expect(jobSucceeded()).toEqual(closedBreaker);
});

test('a failed trial doubles the pause, up to the longest', () => {
  let breaker = failing(0, 1, 2);
  let now = 2;
  for (let round = 0; round < 10; round++) {
    now += LONGEST_PAUSE;
    breaker = fail(jobSent(breaker, now), now);
  }
  expect(breaker).toEqual({ kind: 'open', until: now + LONGEST_PAUSE, pause: LONGEST_PAUSE });
});

test('a trial that says nothing does not block the next one', () => {
  const now = 2 + FIRST_PAUSE;
  const trial = jobSent(failing(0, 1, 2), now);
  expect(breakerRefusal(jobSaidNothing(trial), now)).toBeUndefined();
  expect(breakerAt(trial, now + TRIAL_DEADLINE + 1)).toMatchObject({ trial: undefined });
});

test('what says nothing against the worker ends its trial, and nothing but a success closes', () => {
  const now = 2 + FIRST_PAUSE;
  const trial = jobSent(failing(0, 1, 2), now);
  expect(fail(trial, now, 0)).toMatchObject({ kind: 'half-open', trial: undefined });
  // Time alone, and the failures that grew old, never close it.
  for (const later of [now, now + WINDOW, now + 100 * WINDOW])
    expect(breakerAt(trial, later).kind).toBe('half-open');
});
