import { expect, test } from 'vitest';
import { formatBytes, formatProgress } from '../../src/base/amounts.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1234, '1.2 kB'],
  [123_456_789, '123 MB'],
  [5e15, '5000 TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test('progress tells bytes, rate and the time that is left', () => {
  expect(formatProgress(12e6, 44.5e6, 8.1e6)).toBe('12.0 MB of 44.5 MB, 8.1 MB/s, 5 s left');
  expect(formatProgress(0, 4e9, 1e6)).toBe('0 B of 4.0 GB, 1.0 MB/s, 67 min left');
  expect(formatProgress(0, 9, 0)).toBe('0 B of 9 B, 0 B/s');
  expect(formatProgress(9, 9, 3)).toBe('9 B of 9 B, 3 B/s');
});
