import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stamp, type StampRule } from '../../src/tree/stamps.ts';

const time = fc.bigInt({ min: 0n, max: 10_000n });
const rules = fc
  .tuple(time, time, fc.bigInt({ min: -3_000n, max: 3_000n }), time, time)
  .map(([a, b, offset, floor, cap]): StampRule => {
    return { from: a < b ? a : b, till: a < b ? b : a, offset, floor, cap };
  });

describe('a stamp', () => {
  test('leaves what lies outside the window as it is', () => {
    const rule = { from: 100n, till: 200n, offset: 50n, floor: 0n, cap: 1_000n };
    expect(stamp(99n, rule)).toBe(99n);
    expect(stamp(201n, rule)).toBe(201n);
    expect(stamp(100n, rule)).toBe(50n);
    expect(stamp(200n, rule)).toBe(150n);
  });

  test('lies between floor and cap', () => {
    const rule = { from: 100n, till: 200n, offset: 50n, floor: 70n, cap: 120n };
    expect(stamp(100n, rule)).toBe(70n);
    expect(stamp(150n, rule)).toBe(100n);
    expect(stamp(200n, rule)).toBe(120n);
  });

  test('is the cap when that is below the floor: too old costs a rebuild, too new hides an edit', () => {
    const rule = { from: 100n, till: 200n, offset: 0n, floor: 150n, cap: 120n };
    for (const w of [100n, 130n, 200n]) expect(stamp(w, rule)).toBe(120n);
  });

  test('keeps the order of what the run made, and never exceeds the cap', () => {
    fc.assert(
      fc.property(rules, time, time, (rule, a, b) => {
        const inside = (w: bigint): boolean => w >= rule.from && w <= rule.till;
        if (inside(a)) expect(stamp(a, rule) <= rule.cap).toBe(true);
        else expect(stamp(a, rule)).toBe(a);
        if (inside(a) && inside(b) && a <= b) expect(stamp(a, rule) <= stamp(b, rule)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
