import { expect, it } from 'vitest';
import { clip, count, duration, printable, size, table } from '../../../src/cli/render/text.ts';

it('says times in the units of people', () => {
  expect([0, 999, 1000, 59_940, 65_000, 11_520_000, 270_000_000].map(duration)).toEqual([
    '0 ms',
    '999 ms',
    '1.0 s',
    '59.9 s',
    '1m 05s',
    '3h 12m',
    '3d 3h',
  ]);
});

it('says sizes in decimal units', () => {
  expect([0, 999, 1000, 9949, 15_000, 999_600, 6.3e8, 5e15].map(size)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '9.9 kB',
    '15 kB',
    '1.0 MB',
    '630 MB',
    '5000 TB',
  ]);
});

it('counts', () => {
  expect([count(0, 'job'), count(1, 'job'), count(2, 'job')]).toEqual([
    '0 jobs',
    '1 job',
    '2 jobs',
  ]);
});

it('lets no name draw on the terminal', () => {
  expect(printable('a\u001b[31mb\nc\td\u009f')).toBe('a\\x1b[31mb\\nc\\td\\x9f');
});

it('aligns columns and fits the width', () => {
  expect(
    table(
      [
        ['A', 'LONG', 'X'],
        ['bb', 'c', 'a long last column'],
      ],
      20,
    ),
  ).toBe('A   LONG  X\nbb  c     a long la…');
  expect(clip('abc', 3)).toBe('abc');
});
