import { expect, test } from 'vitest';
import { factorOfLoad, factorOfPressure } from '../../../daemon/front/pressure.ts';
import { speedOf } from '../../../daemon/select/speed.ts';

const facts = { single: 2200, all: 8000, memory: 12_000, disk: 1000, compileMs: 450 };

test('the reference scores 100, twice as fast a CPU nearly twice that, and no disk makes a machine fast', () => {
  expect(speedOf(facts)).toBe(100);
  expect(speedOf({ ...facts, single: 4400, compileMs: 225 })).toBe(170);
  expect(speedOf({ ...facts, disk: 1e9 })).toBe(120);
});

test('without a compiler the other work stands for it', () => {
  expect(speedOf({ ...facts, compileMs: null })).toBe(100);
});

test('pressure of a quarter makes work a third longer, and no reading is beyond eight times', () => {
  expect(factorOfPressure('some avg10=25.00 avg60=1.00\nfull avg10=0')).toBeCloseTo(4 / 3);
  expect(factorOfPressure('some avg10=100.00')).toBe(8);
  expect(factorOfPressure('')).toBeUndefined();
  expect(factorOfLoad(1, 8)).toBe(1);
  expect(factorOfLoad(16, 8)).toBe(2);
});
