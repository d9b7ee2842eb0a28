import { randomBytes } from 'node:crypto';
import { compress } from 'zstd-napi';
import { expect, test } from 'vitest';
import {
  deltaWindow,
  MAX_PIECE,
  packDelta,
  packPiece,
  PIECE_BYTES,
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

test('a delta holds little more than what differs from its base', () => {
  const base = randomBytes(3 * PIECE_BYTES);
  const changed = Buffer.concat([
    base.subarray(0, 1000),
    Buffer.from('inserted'),
    base.subarray(1000),
  ]);
  const offset = PIECE_BYTES;
  const piece = changed.subarray(offset, offset + PIECE_BYTES);
  const { start, end } = deltaWindow(offset);
  const window = base.subarray(start, end);
  const packed = packDelta(piece, window);
  expect(packed.data.length).toBeLessThan(1000);
  const unpacked = unpackPiece(packed, window);
  expect(unpacked.ok && unpacked.value.equals(piece)).toBe(true);
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
