import { expect, test } from 'vitest';
import {
  piecesFrom,
  readPieces,
  Recording,
  writtenPieces,
} from '../../../daemon/link/recording.ts';

const add = (recording: Recording, stream: number, offset: number, text: string): void => {
  recording.add(stream, BigInt(offset), Buffer.from(text));
};

test('what is told again after a reconnect is recorded once, in the order it first came', () => {
  const recording = new Recording();
  add(recording, 1, 0, 'one ');
  add(recording, 2, 0, 'err');
  add(recording, 1, 0, 'one ');
  add(recording, 1, 2, 'e two');
  expect(recording.whole).toBe(true);
  expect(recording.pieces.map(({ stream, data }) => [stream, data.toString()])).toEqual([
    [1, 'one '],
    [2, 'err'],
    [1, 'two'],
  ]);
  expect([...recording.ends]).toEqual([
    [1, 7n],
    [2, 3n],
  ]);
  expect(readPieces(writtenPieces(recording.pieces))).toEqual(recording.pieces);
});

test('a launcher that has some of it gets the rest', () => {
  const recording = new Recording();
  add(recording, 1, 0, 'abc');
  add(recording, 2, 0, 'xyz');
  add(recording, 1, 3, 'def');
  const rest = piecesFrom(recording.pieces, (stream) => (stream === 1 ? 4n : 0n));
  expect(rest.map(({ stream, offset, data }) => [stream, offset, data.toString()])).toEqual([
    [2, 0n, 'xyz'],
    [1, 4n, 'ef'],
  ]);
});

test('a gap, or too much, ends a recording; how far the streams have come is known still', () => {
  const gap = new Recording();
  add(gap, 1, 5, 'late');
  expect([gap.whole, gap.pieces.length, gap.ends.get(1)]).toEqual([false, 0, 9n]);
  const long = new Recording();
  for (let at = 0; at < 9; at++) long.add(1, BigInt(at) << 20n, Buffer.alloc(1 << 20));
  expect([long.whole, long.pieces.length, long.ends.get(1)]).toEqual([false, 0, 9n << 20n]);
});
