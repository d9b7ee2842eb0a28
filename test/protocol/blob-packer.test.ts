import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { BlobPacker, levelFor } from '../../src/protocol/blob-packer.ts';

/** bytes a ms of so many MB a second */
const mb = (perSecond: number): number => perSecond * 1000;

test.each([
  ['nothing is known yet', undefined, 3, 3],
  ['nothing may be packed', undefined, 0, 0],
  ['loopback', { wire: mb(400), packing: mb(400), ratio: 0.35 }, 3, 0],
  ['ten gigabit', { wire: mb(1100), packing: mb(500), ratio: 0.3 }, 9, 0],
  ['a gigabit', { wire: mb(115), packing: mb(450), ratio: 0.35 }, 3, 1],
  ['a hundred megabit', { wire: mb(11), packing: mb(450), ratio: 0.35 }, 3, 3],
  ['a hundred megabit and no limit', { wire: mb(11), packing: mb(450), ratio: 0.35 }, 19, 3],
  ['a slow line', { wire: mb(1), packing: mb(450), ratio: 0.35 }, 19, 9],
  ['a slow line within the limit', { wire: mb(1), packing: mb(450), ratio: 0.35 }, 5, 3],
  ['a gigabit from a busy machine', { wire: mb(115), packing: mb(40), ratio: 0.35 }, 3, 0],
  ['what does not shrink', { wire: mb(11), packing: mb(450), ratio: 1 }, 1, 0],
])('the level for %s', (_, seen, most, level) => {
  expect(levelFor(seen, most)).toBe(level);
});

/** Shrinks to half. */
const text = Buffer.from(randomBytes(1 << 19).toString('hex'));

/** The share of pieces that were packed of the last 20 of 100, on a way of so many bytes a ms. */
function packedOn(wire: number, piece: () => Buffer, most = 3): number {
  const packer = new BlobPacker(most);
  let packed = 0;
  for (let at = 0; at < 100; at++) {
    const { codec, data } = packer.pack(piece());
    packer.sent(data.length, data.length / wire);
    if (at >= 80 && codec !== 0) packed++;
  }
  return packed / 20;
}

test('a slow way gets packed pieces, an endlessly fast one and noise go raw', () => {
  expect(packedOn(mb(1), () => text)).toBe(1);
  expect(packedOn(mb(1e6), () => text)).toBeLessThan(0.1);
  expect(packedOn(mb(1), () => text, 0)).toBe(0);
  const noise = randomBytes(1 << 20);
  expect(packedOn(mb(1), () => noise)).toBeLessThan(0.3);
});

test('a way that becomes slow is noticed', () => {
  const packer = new BlobPacker(3);
  for (let at = 0; at < 50; at++) packer.sent(packer.pack(text).data.length, 0);
  let packed = 0;
  for (let at = 0; at < 80; at++) {
    const { codec, data } = packer.pack(text);
    packer.sent(data.length, data.length / mb(1));
    if (codec !== 0) packed++;
  }
  expect(packed).toBeGreaterThan(40);
  expect(packer.wire).toBeLessThan(mb(3));
});
