import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { EarlyReturn, Pace, type Offer, type Part } from '../../../daemon/artifacts/early.ts';
import { Spool } from '../../../daemon/artifacts/spool.ts';
import { BlobCodec } from '../../../src/protocol/agent.ts';
import { hashBytes } from '../../../src/tree/hash.ts';
import { Store } from '../../../src/tree/store.ts';
import { folder, hasher, value } from '../../tree/rig.ts';

const KB = 1024;

/** A content that is like no other of `at`. */
const content = (size: number, at: number): Buffer =>
  Buffer.from(Array.from({ length: size }, (_, byte) => (byte * 7 + at * 31 + (byte >> 8)) & 255));

type Rig = {
  readonly spool: Spool;
  readonly early: EarlyReturn;
  readonly offers: readonly Offer[];
  /** What was asked for at once, in turn. */
  readonly asked: Part[][];
};

type RigOptions = {
  readonly free?: number;
  /** Whether the worker still has what it offered. */
  readonly has?: (part: Part) => boolean;
  /** Before each answer. */
  readonly pause?: (part: Part) => Promise<void>;
};

/** A way on which every answer takes just the round trip, so that nothing seems to be on the wire. */
async function rigOf(contents: readonly Buffer[], options: RigOptions = {}): Promise<Rig> {
  const store = value(await Store.open({ folder: folder(), hasher: hasher() }));
  onTestFinished(() => store.close());
  const spool = new Spool(store);
  const byHash = new Map(contents.map((each) => [hashBytes(each), each]));
  const asked: Part[][] = [];
  let flying = 0;
  const early = new EarlyReturn({
    spool,
    free: () => Promise.resolve(options.free ?? 1e12),
    roundTrip: () => 1e9,
    fetchPart: async (part) => {
      if (flying++ === 0) asked.push([]);
      asked.at(-1)?.push(part);
      await (options.pause?.(part) ?? new Promise((resolve) => setImmediate(resolve)));
      flying--;
      if (options.has?.(part) === false) return { ok: false, failure: { reason: 'it changed' } };
      const { hash, size, offset, length } = part;
      await spool.take({
        ...{ type: 'blob', codec: BlobCodec.raw, base: Buffer.alloc(0) },
        hash: Buffer.from(hash, 'hex'),
        size: BigInt(size),
        offset: BigInt(offset),
        data: byHash.get(hash)?.subarray(offset, offset + length) ?? Buffer.alloc(0),
      });
      return { ok: true, value: undefined };
    },
  });
  const offers = [...byHash].map(([hash, { length }]) => ({ hash, size: length }));
  return { spool, early, offers, asked };
}

describe('what a command seems to have finished', () => {
  test('is asked for many at once, more each time, however long an answer takes', async () => {
    const { spool, early, offers, asked } = await rigOf(
      Array.from({ length: 40 }, (_, at) => content(64 * KB, at)),
    );
    early.offer(offers);
    await vi.waitUntil(() => offers.every(({ hash }) => spool.has(hash)), 20_000);
    expect(asked.map((parts) => parts.length)).toEqual([1, 2, 4, 8, 16, 9]);
  });

  test('comes in parts where it is large, with what is after it in the same answer', async () => {
    const [large, small] = [content(150 * KB, 1), content(70 * KB, 2)];
    const { spool, early, offers, asked } = await rigOf([large, small]);
    early.offer(offers);
    await vi.waitUntil(() => offers.every(({ hash }) => spool.has(hash)), 20_000);
    const sizes = asked.map((parts) =>
      parts.map(({ offset, length }) => [offset / KB, length / KB]),
    );
    expect(sizes).toEqual([
      [[0, 64]],
      [
        [64, 86],
        [0, 42],
      ],
      [[42, 28]],
    ]);
  });

  test('is given up where it changed, and what was offered after it comes', async () => {
    const contents = [content(200 * KB, 1), content(64 * KB, 2)];
    const changed = hashBytes(contents[0] ?? Buffer.alloc(0));
    const { spool, early, offers } = await rigOf(contents, {
      has: ({ hash, offset }) => hash !== changed || offset === 0,
    });
    early.offer(offers);
    await vi.waitUntil(() => spool.has(offers[1]?.hash ?? ''), 20_000);
    expect(spool.has(changed)).toBe(false);
    expect(spool.heldOf(changed)).toBeUndefined();
  });

  test('waits where the disk is nearly full', async () => {
    const { spool, early, offers, asked } = await rigOf([content(64 * KB, 1)], { free: 2e9 });
    early.offer(offers);
    await early.stop();
    expect(asked).toEqual([]);
    expect(spool.heldOf(offers[0]?.hash ?? '')).toBeUndefined();
  });

  test('stops when the command ends: the one in the middle is given up, or gone on with', async () => {
    const stop: { now?: Promise<void> } = {};
    const { spool, early, offers, asked } = await rigOf([content(500 * KB, 1)], {
      pause: async ({ offset }) => {
        if (offset > 0) stop.now ??= early.stop();
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    const hash = offers[0]?.hash ?? '';
    early.offer(offers);
    await vi.waitUntil(() => stop.now !== undefined, 20_000);
    await stop.now;
    expect(asked.flat().map(({ length }) => length / KB)).toEqual([64, 128]);
    expect(spool.claim(hash, 500 * KB, early)).toBe(192 * KB);
    await early.forget();
    expect(spool.heldOf(hash)).toBeUndefined();
  });
});

describe('how much is asked for at once', () => {
  test('grows while it comes in a moment, and shrinks where it does not', () => {
    const pace = new Pace();
    const seen = [10, 10, 80, 200, 200, 200].map((ms) => {
      pace.took(ms, pace.window);
      return pace.window / KB;
    });
    expect(seen).toEqual([128, 256, 256, 128, 64, 64]);
  });

  test('does not grow by what was less than that, nor beyond a bound', () => {
    const pace = new Pace();
    pace.took(1, 10);
    expect(pace.window).toBe(64 * KB);
    for (let times = 0; times < 20; times++) pace.took(1, pace.window);
    expect(pace.window).toBe(16 * KB * KB);
  });
});
