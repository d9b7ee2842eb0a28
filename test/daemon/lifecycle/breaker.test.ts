import { expect, test } from 'vitest';
import {
  breakerAt,
  breakerRefusal,
  closedBreaker,
  FIRST_PAUSE,
  jobFailed,
  jobSaidNothing,
  jobSent,
  jobSucceeded,
  LONGEST_PAUSE,
  TRIAL_DEADLINE,
  WINDOW,
  type Breaker,
} from '../../../daemon/lifecycle/breaker.ts';

const failing = (...times: number[]): Breaker =>
  times.reduce<Breaker>((breaker, at) => jobFailed(breaker, 1, at), closedBreaker);

test('three lost jobs in a minute open it, three in an hour do not', () => {
  expect(failing(0, 1, 2).kind).toBe('open');
  expect(failing(0, WINDOW, 2 * WINDOW + 1, 3 * WINDOW + 2).kind).toBe('closed');
});

test('a success forgets the failures before it', () => {
  expect(jobFailed(jobSucceeded(), 1, 3).kind).toBe('closed');
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
    breaker = jobFailed(jobSent(breaker, now), 1, now);
  }
  expect(breaker).toEqual({ kind: 'open', until: now + LONGEST_PAUSE, pause: LONGEST_PAUSE });
});

test('a trial that says nothing does not block the next one', () => {
  const now = 2 + FIRST_PAUSE;
  const trial = jobSent(failing(0, 1, 2), now);
  expect(breakerRefusal(jobSaidNothing(trial), now)).toBeUndefined();
  expect(breakerAt(trial, now + TRIAL_DEADLINE + 1)).toMatchObject({ trial: undefined });
});
