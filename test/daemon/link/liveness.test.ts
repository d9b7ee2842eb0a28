import { expect, it } from 'vitest';
import { Liveness } from '../../../daemon/link/liveness.ts';

it('counts the questions that went without a sign of life, and hears of the first one after', () => {
  const life = new Liveness(1000, 0);
  // Asked at 0, answered at once.
  expect(life.heard(5)).toBe(false);
  expect(life.missed(1000)).toBe(0);
  expect(life.missed(2000)).toBe(1);
  expect(life.missed(3010)).toBe(2);
  expect(life.missed(4000)).toBe(3);
  expect(life.heard(4500)).toBe(true);
  expect(life.heard(4600)).toBe(false);
  expect(life.missed(5000)).toBe(0);
});

it('takes whatever moves for a sign, though an answer waits behind it', () => {
  const life = new Liveness(1000, 0);
  for (let now = 1000; now <= 20_000; now += 1000) {
    expect(life.heard(now - 300)).toBe(false);
    expect(life.missed(now)).toBe(0);
  }
});

it('blames nobody for a time in which this process stood still', () => {
  const life = new Liveness(1000, 0);
  expect(life.missed(1000)).toBe(0);
  expect(life.missed(61_000)).toBe(0);
  expect(life.missed(62_000)).toBe(1);
});

it('tells the end of a silence though this process stood still in between', () => {
  const life = new Liveness(1000, 0);
  expect(life.missed(1000)).toBe(0);
  expect(life.missed(2000)).toBe(1);
  expect(life.missed(61_000)).toBe(0);
  expect(life.heard(61_100)).toBe(true);
});
