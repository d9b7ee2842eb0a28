import { expect, test } from 'vitest';
import { ExperienceBook, type RunThere } from '../../../daemon/select/experience.ts';
import { worth, type Weighing } from '../../../daemon/select/worth.ts';

const book = new ExperienceBook();
const base: Weighing = {
  command: 'cargo build',
  force: false,
  tooSmall: undefined,
  estimateMs: 10_000,
  experience: book.of('/p', 'cargo build'),
  load: 1,
  rules: { minCompileTimeMs: 1500, benefitThreshold: 3, always: undefined, never: undefined },
};

const there = (runMs: number, wayMs: number, sentBytes = 0): RunThere => ({
  worker: 'css',
  runMs,
  wayMs,
  sentBytes,
  syncMs: wayMs,
});

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
  expect(worth({ ...call, load: 2 }).remote).toBe(true);
});

test('a build whose way costs more than twice the run stays here, and the way is tried again now and then', () => {
  const past = new ExperienceBook();
  for (let run = 0; run < 3; run++) past.ranThere('/p', 'make', there(50, 2000));
  const weigh = () => worth({ ...base, command: 'make', experience: past.of('/p', 'make') });
  expect(weigh()).toMatchObject({ remote: false });
  expect(weigh().reason).toContain('2000 ms of it the way');
  for (let kept = 0; kept < 10; kept++) past.keptHere('/p', 'make');
  expect(weigh().remote).toBe(true);
  past.ranThere('/p', 'make', there(50, 2000));
  expect(weigh().remote).toBe(false);
});

test('how far a prediction may be off is told, unless that is more than all of it', () => {
  const past = new ExperienceBook();
  const said = (): string =>
    worth({ ...base, command: 'make', experience: past.of('/p', 'make') }).reason;
  for (const runMs of [900, 1000, 1100, 1200]) past.ranThere('/p', 'make', there(runMs, 2000));
  for (const ms of [2900, 3000, 3100]) past.ranHere('/p', 'make', ms);
  expect(said()).toMatch(/about \d+ ms ± \d\d? % there .*, about 3000 ms ± 3 % here/);
  for (const ms of [5, 8, 10, 9000, 9000]) past.ranHere('/p', 'make', ms);
  expect(said()).toMatch(/, about \d+ ms \(it varies a lot\) here/);
});

test('a short way is never a reason to stay', () => {
  const past = new ExperienceBook();
  for (let run = 0; run < 3; run++) past.ranThere('/p', 'make', there(5, 300));
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
  for (let project = 0; project < 3000; project++)
    past.ranThere(`/p${project}`, 'make', there(1, 1));
  expect(past.prospect('/p0', 'make', 'css').missing).toBe(1);
  expect(past.prospect('/p2999', 'make', 'css').missing).toBe(0);
});

test('never_remote and always_remote decide before the weighing, RCH_FORCE_REMOTE before both', () => {
  const rules = { ...base.rules, never: 'cargo build' };
  expect(worth({ ...base, rules })).toEqual({
    remote: false,
    reason: 'cost_benefit.never_remote holds "cargo build"',
  });
  expect(worth({ ...base, rules, force: true }).remote).toBe(true);
  const small = { ...base, tooSmall: 'a configure probe' };
  expect(worth({ ...small, rules: { ...base.rules, always: 'cargo' } }).remote).toBe(true);
});

test('the limits of [cost_benefit] are in effect', () => {
  const call: Weighing = { ...base, command: 'cc compile', estimateMs: 900 };
  expect(worth({ ...call, rules: { ...base.rules, minCompileTimeMs: 800 } }).remote).toBe(true);
  const past = new ExperienceBook();
  for (let run = 0; run < 3; run++) past.ranThere('/p', 'make', there(1000, 1500));
  const made = { ...base, command: 'make', experience: past.of('/p', 'make') } as const;
  expect(worth(made).remote).toBe(true);
  expect(worth({ ...made, rules: { ...base.rules, benefitThreshold: 2 } }).remote).toBe(false);
});

test('a project is missing on a worker by what moved elsewhere since', () => {
  const past = new ExperienceBook();
  past.ranThere('/p', 'make', there(10, 1000, 4e6));
  expect(past.prospect('/p', 'make', 'css')).toEqual({ missing: 0, thereMs: 1010 });
  past.ranThere('/p', 'make', { ...there(10, 500, 1e6), worker: 'csd' });
  expect(past.prospect('/p', 'make', 'css').missing).toBe(0.25);
});
