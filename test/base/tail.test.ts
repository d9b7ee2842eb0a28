import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Tail } from '../../src/base/tail.ts';

const SIZE = 16 * 1024;

test('the end of a stream is held, however it came in pieces', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 8 });
  fc.assert(
    fc.property(sizes, fc.nat(40_000), (pieces, from) => {
      const tail = new Tail();
      let all = Buffer.alloc(0);
      for (const [at, size] of pieces.entries()) {
        const piece = Buffer.from(Array.from({ length: size }, (_, n) => (at * 31 + n) % 251));
        tail.add(piece);
        all = Buffer.concat([all, piece]);
      }
      const first = Math.max(0, all.length - SIZE);
      const { data, skipped } = tail.since(from);
      expect(tail.total).toBe(all.length);
      expect(skipped).toBe(from < first);
      expect(data.equals(all.subarray(Math.max(from, first)))).toBe(true);
    }),
    { numRuns: 25 },
  );
});

test('a break is told to whoever read up to it, and nothing from before it is given as though it followed', () => {
  const tail = new Tail();
  tail.add(Buffer.from('one'));
  const read = tail.total;
  tail.break();
  tail.add(Buffer.from('two'));
  const { data, skipped } = tail.since(read);
  expect([data.toString(), skipped]).toEqual(['two', true]);
  expect(tail.since(tail.total)).toMatchObject({ skipped: false });
});

test('of a stream an end of another size is held as well', () => {
  const all = Array.from({ length: 4000 }, (_, at) => `line ${at}\n`).join('');
  for (const step of [1, 7, 5000, all.length]) {
    const tail = new Tail(8192);
    const text = (): string => tail.since(0).data.toString('latin1');
    expect(text()).toBe('');
    for (let at = 0; at < all.length; at += step) tail.add(Buffer.from(all.slice(at, at + step)));
    expect(text(), String(step)).toBe(all.slice(-8192));
  }
});
