import { Writable } from 'node:stream';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PieceOrder, writeStriped } from '../../src/protocol/stripes.ts';

/** A stream that takes what is written only when it is told to. */
class Slow extends Writable {
  readonly #done: (() => void)[] = [];

  constructor() {
    super({ highWaterMark: 10 });
  }

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    this.#done.push(done);
  }

  takeOne(): void {
    this.#done.shift()?.();
  }
}

/** Whether a promise has settled once all that is due was done. */
async function settled(work: Promise<unknown>): Promise<boolean> {
  let is = false;
  void work.then(() => (is = true));
  await new Promise(setImmediate);
  return is;
}

describe('pieces on several streams', () => {
  test('go where the least is queued, until all are full; then until one has room', async () => {
    const streams = [new Slow(), new Slow(), new Slow()];
    for (const size of [12, 4, 2])
      expect(await writeStriped(streams, Buffer.alloc(size))).toBe(true);
    expect(streams.map((stream) => stream.writableLength)).toEqual([12, 4, 2]);
    await writeStriped(streams, Buffer.alloc(9));
    const last = writeStriped(streams, Buffer.alloc(8));
    expect(streams.map((stream) => stream.writableLength)).toEqual([12, 12, 11]);
    expect(await settled(last)).toBe(false);
    streams[1]?.takeOne();
    expect(await settled(last)).toBe(false);
    streams[1]?.takeOne();
    expect(await last).toBe(true);
    for (const stream of streams)
      expect([stream.listenerCount('drain'), stream.listenerCount('close')]).toEqual([0, 0]);
  });

  test('go round where each is sent before the next comes', async () => {
    const streams = [new Slow(), new Slow(), new Slow()];
    const sizes: number[][] = [];
    for (let piece = 1; piece <= 6; piece += 1) {
      await writeStriped(streams, Buffer.alloc(piece));
      sizes.push(streams.map((stream) => stream.writableLength));
      for (const stream of streams) stream.takeOne();
    }
    expect(sizes).toEqual([
      [1, 0, 0],
      [0, 2, 0],
      [0, 0, 3],
      [4, 0, 0],
      [0, 5, 0],
      [0, 0, 6],
    ]);
  });

  test('are lost with one of them', async () => {
    const streams = [new Slow(), new Slow()];
    await writeStriped(streams, Buffer.alloc(20));
    const waiting = writeStriped(streams, Buffer.alloc(20));
    streams[0]?.destroy();
    expect(await waiting).toBe(false);
    expect(await writeStriped(streams, Buffer.alloc(1))).toBe(false);
    expect(await writeStriped([], Buffer.alloc(1))).toBe(false);
  });
});

describe('a piece that comes before its turn', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('waits until those before it have come', async () => {
    const order = new PieceOrder();
    let at = 0;
    const turn = order.turn('x', () => at >= 2);
    at = 1;
    order.moved('x');
    expect(await settled(turn)).toBe(false);
    at = 2;
    order.moved('other');
    expect(await settled(turn)).toBe(false);
    order.moved('x');
    expect(await settled(turn)).toBe(true);
  });

  test('waits no longer than there is hope: until nothing else has come for a while', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const order = new PieceOrder(30);
    const turn = order.turn('x', () => false);
    for (let ms = 0; ms < 90; ms += 5) {
      await vi.advanceTimersByTimeAsync(5);
      order.moved('other');
    }
    await vi.advanceTimersByTimeAsync(29);
    expect(await settled(turn)).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await settled(turn)).toBe(true);
  });
});
