import { expect, it } from 'vitest';
import { distance, nearest } from '../../src/base/nearest.ts';

it('counts insertions, deletions, changes and swaps of neighbours', () => {
  expect(distance('status', 'status')).toBe(0);
  expect(distance('statsu', 'status')).toBe(1);
  expect(distance('ab', 'xaby')).toBe(2);
  expect(distance('', 'abc')).toBe(3);
});

it('names what is near, and nothing when all is far', () => {
  expect(nearest('compresion', ['channels', 'compression'])).toBe('compression');
  expect(nearest('zebra', ['channels', 'compression'])).toBeUndefined();
  expect(nearest('x', [])).toBeUndefined();
});
