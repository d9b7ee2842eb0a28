import { randomBytes } from 'node:crypto';
import { compress } from 'zstd-napi';
import { expect, test } from 'vitest';
import {
  lengthOf,
  MAX_PIECE,
  packPiece,
  packRun,
  unpackBlob,
  unpackPiece,
} from '../../src/protocol/pieces.ts';

test('a piece that shrinks is packed, another goes raw, and both come back', () => {
  const text = Buffer.from('all work and no play '.repeat(1000));
  const packed = packPiece(text, 3);
  expect(packed.codec).toBe(1);
  expect(packed.data.length).toBeLessThan(text.length / 10);
  expect(unpackPiece(packed)).toEqual({ ok: true, value: text });
  const noise = randomBytes(10_000);
  expect(packPiece(noise, 3)).toEqual({ codec: 0, data: noise });
  expect(packPiece(text, 0).codec).toBe(0);
  expect(packPiece(Buffer.alloc(0), 3)).toEqual({ codec: 0, data: Buffer.alloc(0) });
});

test('a run says how many zeros, or where to copy from', () => {
  const zeros = packRun({ length: 5e9 });
  expect(unpackBlob(zeros.codec, zeros.data)).toEqual({ ok: true, value: { length: 5e9 } });
  const copy = packRun({ length: 70_000, from: 6e9 });
  expect(unpackBlob(copy.codec, copy.data)).toEqual({
    ok: true,
    value: { length: 70_000, from: 6e9 },
  });
  const plain = unpackBlob(0, Buffer.from('abc'));
  expect(plain.ok && lengthOf(plain.value)).toBe(3);
});

test('a run of no sense and an unknown way of packing are refused', () => {
  const endless = Buffer.alloc(16, 0xff);
  for (const [codec, data] of [
    [2, endless],
    [2, Buffer.alloc(8)],
    [2, Buffer.alloc(16)],
    [3, Buffer.alloc(8)],
    [3, endless],
    [4, Buffer.alloc(8)],
    [255, Buffer.alloc(0)],
  ] as const)
    expect(unpackBlob(codec, data).ok).toBe(false);
});

test('a piece that claims or holds more than allowed is refused', () => {
  expect(unpackPiece({ codec: 0, data: Buffer.alloc(MAX_PIECE + 1) }).ok).toBe(false);
  const bomb = compress(Buffer.alloc(MAX_PIECE + 1));
  expect(bomb.length).toBeLessThan(2000);
  expect(unpackPiece({ codec: 1, data: bomb }).ok).toBe(false);
  const two = Buffer.concat([compress(Buffer.alloc(10)), compress(Buffer.alloc(MAX_PIECE))]);
  expect(unpackPiece({ codec: 1, data: two }).ok).toBe(false);
});

test('what is no zstd frame is refused', () => {
  expect(unpackPiece({ codec: 1, data: Buffer.from('nonsense') }).ok).toBe(false);
  expect(unpackPiece({ codec: 1, data: Buffer.alloc(0) }).ok).toBe(false);
});
