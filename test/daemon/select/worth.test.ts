import { expect, test } from 'vitest';
import { ExperienceBook } from '../../../daemon/select/experience.ts';
import { worth, type Weighing } from '../../../daemon/select/worth.ts';

const book = new ExperienceBook();
const base: Weighing = {
  command: 'cargo build',
  force: false,
  tooSmall: undefined,
  estimateMs: 10_000,
  experience: book.of('/p', 'cargo build'),
  localRunning: 0,
  localLimit: 4,
};

test('a builder is worth the way at first sight', () => {
  expect(worth(base).remote).toBe(true);
});

test('what is too small stays, unless RCH_FORCE_REMOTE insists', () => {
  const small = { ...base, tooSmall: 'a configure probe' };
  expect(worth(small)).toEqual({ remote: false, reason: 'a configure probe' });
  expect(worth({ ...small, force: true }).remote).toBe(true);
});

test('a single compiler call goes only when it is long, or when this machine is busy', () => {
  const call: Weighing = { ...base, command: 'cc compile', estimateMs: 900 };
  expect(worth(call).remote).toBe(false);
  expect(worth({ ...call, estimateMs: 5000 }).remote).toBe(true);
  expect(worth({ ...call, localRunning: 4 }).remote).toBe(true);
});

test('a build whose way costs more than twice the run stays here, and the way is tried again now and then', () => {
  const past = new ExperienceBook();
  for (let run = 0; run < 3; run++) past.ranThere('/p', 'make', { runMs: 50, wayMs: 2000 });
  const weigh = () => worth({ ...base, command: 'make', experience: past.of('/p', 'make') });
  expect(weigh()).toMatchObject({ remote: false });
  expect(weigh().reason).toContain('2000 ms of it the way');
  for (let kept = 0; kept < 10; kept++) past.keptHere('/p', 'make');
  expect(weigh().remote).toBe(true);
  past.ranThere('/p', 'make', { runMs: 50, wayMs: 2000 });
  expect(weigh().remote).toBe(false);
});

test('a short way is never a reason to stay', () => {
  const past = new ExperienceBook();
  for (let run = 0; run < 3; run++) past.ranThere('/p', 'make', { runMs: 5, wayMs: 300 });
  expect(worth({ ...base, command: 'make', experience: past.of('/p', 'make') }).remote).toBe(true);
});

test('experience is the median of the last runs, by project and kind', () => {
  const past = new ExperienceBook();
  for (const ms of [100, 200, 90_000]) past.ranHere('/p', 'make', ms);
  expect(past.of('/p', 'make').localMs).toBe(200);
  expect(past.of('/q', 'make').localMs).toBeUndefined();
  for (let run = 0; run < 7; run++) past.ranHere('/p', 'make', 7);
  expect(past.of('/p', 'make').localMs).toBe(7);
});

test('the book stays bounded and forgets the projects that were not touched for longest', () => {
  const past = new ExperienceBook();
  for (let project = 0; project < 3000; project++) past.builtOn(`/p${project}`, 'css');
  expect(past.homeOf('/p0')).toBeUndefined();
  expect(past.homeOf('/p2999')).toBe('css');
});
