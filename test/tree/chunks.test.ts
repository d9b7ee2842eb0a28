import { createCipheriv } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bitsFor, Chunker, Outline, outlineOf, Stretches } from '../../src/tree/chunks.ts';
import { PIECE } from '../../src/tree/content.ts';
import { folder, value } from './rig.ts';

let streams = 0;

/** Bytes without any pattern, the same in each run: where chunks are cut is chance, and some cuts lie far apart. */
function noise(length: number): Buffer {
  streams += 1;
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, streams), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(length));
}

/** The chunks of `data` when it comes in pieces of `by` bytes. */
function chunksOf(data: Buffer, by: number, bits = 13): Buffer[] {
  const chunker = new Chunker(bits);
  const chunks: Buffer[] = [];
  for (let at = 0; at < data.length; at += by)
    chunks.push(...chunker.push(data.subarray(at, at + by)));
  return [...chunks, ...chunker.end()];
}

async function outlined(base: Buffer): Promise<Outline> {
  const file = join(folder(), 'base');
  fs.writeFileSync(file, base);
  const bits = bitsFor(base.length);
  const outline = Outline.read(bits, value(await outlineOf(Buffer.from(file), base.length, bits)));
  if (outline === undefined) throw new Error('no outline');
  return outline;
}

/** `data` put together again from its stretches and the base, and the bytes that were in them. */
function rebuilt(data: Buffer, base: Buffer, outline: Outline): { whole: Buffer; bytes: number } {
  const stretches = new Stretches(outline);
  const parts: Buffer[] = [];
  let bytes = 0;
  const take = (list: ReturnType<Stretches['push']>): void => {
    for (const stretch of list) {
      if (stretch.kind === 'copy')
        parts.push(base.subarray(stretch.from, stretch.from + stretch.length));
      else if (stretch.kind === 'zeros') parts.push(Buffer.alloc(stretch.length));
      else {
        expect(stretch.data.length).toBeLessThanOrEqual(PIECE);
        parts.push(stretch.data);
        bytes += stretch.data.length;
      }
    }
  };
  for (let at = 0; at < data.length; at += PIECE)
    take(stretches.push({ kind: 'bytes', data: data.subarray(at, at + PIECE) }));
  take(stretches.flush());
  return { whole: Buffer.concat(parts), bytes };
}

test('cuts do not depend on the pieces in which bytes come, and lose none', () => {
  const data = noise(1_000_003);
  const whole = chunksOf(data, data.length);
  expect(Buffer.concat(whole).equals(data)).toBe(true);
  for (const by of [1, 977, 65_536])
    expect(chunksOf(data, by).map((chunk) => chunk.length)).toEqual(whole.map((c) => c.length));
  const inner = whole.slice(0, -1).map((chunk) => chunk.length);
  expect(Math.min(...inner)).toBeGreaterThanOrEqual(1 << 11);
  expect(Math.max(...inner)).toBeLessThanOrEqual(1 << 16);
  expect(data.length / whole.length).toBeGreaterThan(6_000);
  expect(data.length / whole.length).toBeLessThan(16_000);
});

test('bytes without features are cut at the longest', () => {
  expect(chunksOf(Buffer.alloc(200_000), 50_000).map((chunk) => chunk.length)).toEqual([
    65_536, 65_536, 65_536, 3392,
  ]);
});

test.each<[string, (base: Buffer) => Buffer, number]>([
  ['appended', (base) => Buffer.concat([base, noise(100_000)]), 140_000],
  [
    'inserted near the start',
    (base) => Buffer.concat([base.subarray(0, 5000), noise(777), base.subarray(5000)]),
    70_000,
  ],
  [
    'removed in the middle',
    (base) => Buffer.concat([base.subarray(0, 3e6), base.subarray(4e6)]),
    70_000,
  ],
  [
    'overwritten in one place',
    (base) => Buffer.concat([base.subarray(0, 2e6), noise(80_000), base.subarray(2_080_000)]),
    220_000,
  ],
  ['the same', (base) => base, 0],
  ['moved about', (base) => Buffer.concat([base.subarray(3e6), base.subarray(0, 3e6)]), 140_000],
])('of a file with bytes %s little goes over the wire', async (_, change, most) => {
  const base = noise(8_000_000);
  const data = change(base);
  const { whole, bytes } = rebuilt(data, base, await outlined(base));
  expect(whole.equals(data)).toBe(true);
  expect(bytes).toBeLessThanOrEqual(most);
});

test('whatever both sides hold, the content comes out right', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 60_000, minLength: 0 }),
      fc.array(fc.tuple(fc.nat(200_000), fc.uint8Array({ maxLength: 3000 })), { maxLength: 6 }),
      async (seed, edits) => {
        const base = Buffer.concat([Buffer.from(seed), Buffer.from(seed), Buffer.alloc(70_000, 7)]);
        let data = base;
        for (const [at, bytes] of edits)
          data = Buffer.concat([data.subarray(0, at), Buffer.from(bytes), data.subarray(at + 100)]);
        expect(rebuilt(data, base, await outlined(base)).whole.equals(data)).toBe(true);
      },
    ),
    { numRuns: 25 },
  );
});

test('an outline of no sense is none', () => {
  expect(Outline.read(13, Buffer.alloc(19))).toBeUndefined();
  expect(Outline.read(5, Buffer.alloc(20))).toBeUndefined();
  expect(Outline.read(40, Buffer.alloc(20))).toBeUndefined();
});

test('the cut grows with the file, so that its outline stays small', () => {
  expect(bitsFor(0)).toBe(13);
  expect(bitsFor(100e6)).toBe(13);
  expect(bitsFor(3e9)).toBe(16);
  expect(bitsFor(1e12)).toBe(17);
});
