import * as fs from 'node:fs';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { bring, type BringNeeds } from '../../../daemon/artifacts/bring.ts';
import { Spool } from '../../../daemon/artifacts/spool.ts';
import { BlobCodec } from '../../../src/protocol/agent.ts';
import { PieceOrder } from '../../../src/protocol/stripes.ts';
import { hashBytes } from '../../../src/tree/hash.ts';
import { Store } from '../../../src/tree/store.ts';
import { folder, hasher, value } from '../../tree/rig.ts';

const data = Buffer.from('a large program');
const hash = hashBytes(data);
const wanted = new Map([[hash, { size: data.length }]]);

/** The bytes of the content from `from` to `till`, as they come over the wire. */
function piece(from: number, till: number): Parameters<Spool['take']>[0] {
  return {
    ...{ type: 'blob', codec: BlobCodec.raw, base: Buffer.alloc(0) },
    hash: Buffer.from(hash, 'hex'),
    size: BigInt(data.length),
    offset: BigInt(from),
    data: data.subarray(from, till),
  };
}

/** A spool, and a way to bring contents into it that counts what was asked of the worker. */
async function spoolAt(at: string): Promise<{
  spool: Spool;
  asked: string[];
  ask: (asker: object) => ReturnType<typeof bring>;
}> {
  const store = value(await Store.open({ folder: at, hasher: hasher() }));
  onTestFinished(() => store.close());
  const spool = new Spool(store);
  const asked: string[] = [];
  const needs: Omit<BringNeeds, 'asker'> = {
    spool,
    fetch: (hashes) => {
      asked.push(...hashes);
      void spool.take(piece(0, data.length));
      return Promise.resolve({ ok: true, value: undefined });
    },
    fetchPart: () => Promise.resolve({ ok: false, failure: { reason: 'not here' } }),
    worthDiffering: () => false,
    free: () => Promise.resolve(1e12),
  };
  return { spool, asked, ask: (asker) => bring(wanted, { ...needs, asker }) };
}

describe('a content of the spool', () => {
  test('is given away by the only one who counts on it, and comes anew for the next', async () => {
    const { spool, asked, ask } = await spoolAt(folder());
    const [mine, other] = [{}, {}];
    value(await ask(mine));
    expect(spool.giveAway(hash, other)).toBe(false);
    expect(spool.giveAway(hash, mine)).toBe(true);
    expect(spool.giveAway(hash, mine)).toBe(false);
    expect(spool.has(hash)).toBe(false);
    // Whoever wants it now waits until it is clear what became of it.
    const next = ask(other);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).toHaveLength(1);
    fs.rmSync(spool.pathOf(hash));
    spool.left([hash]);
    value(await next);
    expect(asked).toHaveLength(2);
    expect(fs.readFileSync(spool.pathOf(hash))).toEqual(data);
    // The other one counts on it still.
    value(await ask(mine));
    expect(spool.giveAway(hash, mine)).toBe(false);
    spool.release(other);
    expect(spool.giveAway(hash, mine)).toBe(true);
    spool.left([hash]);
  });

  test('that was given away and stayed is there as before', async () => {
    const { spool, asked, ask } = await spoolAt(folder());
    const [mine, other] = [{}, {}];
    value(await ask(mine));
    expect(spool.giveAway(hash, mine)).toBe(true);
    const next = ask(other);
    spool.left([hash]);
    value(await next);
    expect(asked).toHaveLength(1);
    expect(spool.has(hash)).toBe(true);
  });

  test('comes anew when its file was removed', async () => {
    const { spool, asked, ask } = await spoolAt(folder());
    value(await ask({}));
    fs.rmSync(spool.pathOf(hash));
    value(await ask({}));
    expect(asked).toHaveLength(2);
    expect(fs.readFileSync(spool.pathOf(hash))).toEqual(data);
  });

  test('is taken in again from where it was moved to, unless it is something else by then, or huge', async () => {
    const { spool, ask } = await spoolAt(folder());
    const moved = `${folder()}/program`;
    const away = async (): Promise<void> => {
      const mine = {};
      value(await ask(mine));
      expect(spool.giveAway(hash, mine)).toBe(true);
      fs.renameSync(spool.pathOf(hash), moved);
      spool.left([hash]);
      spool.release(mine);
    };
    const again = (most: number): Promise<void> =>
      spool.takeAgain(new Map([[hash, Buffer.from(moved)]]), {
        most,
        free: () => Promise.resolve(1e12),
      });
    await away();
    await again(data.length + 1);
    expect(spool.has(hash)).toBe(true);
    expect(fs.readFileSync(spool.pathOf(hash))).toEqual(data);
    expect(fs.readFileSync(moved)).toEqual(data);
    await away();
    await again(data.length);
    expect(spool.has(hash)).toBe(false);
    fs.chmodSync(moved, 0o600);
    fs.writeFileSync(moved, 'a longer program');
    await again(100);
    expect(spool.has(hash)).toBe(false);
    fs.rmSync(moved);
    await again(100);
    expect(spool.has(hash)).toBe(false);
  });

  test('are taken in again, small ones and larger ones, as long as there is room', async () => {
    const { spool } = await spoolAt(folder());
    const place = folder();
    const files = new Map(
      [10, 70_000, 65_536, 20, 3].map((size): [string, Buffer] => {
        const content = Buffer.alloc(size, size);
        const path = `${place}/${size}`;
        fs.writeFileSync(path, content);
        return [hashBytes(content), Buffer.from(path)];
      }),
    );
    // What says so must stay free besides (LEAST_FREE): the third does not fit.
    const room = [70_010, 65_535];
    const asked: number[] = [];
    const free = (): Promise<number> => {
      asked.push(1);
      return Promise.resolve(2e9 + (room.shift() ?? 0));
    };
    await spool.takeAgain(files, { most: 1e6, free });
    const there = (): boolean[] => [...files.keys()].map((each) => spool.has(each));
    expect(there()).toEqual([true, true, false, false, false]);
    expect(asked).toHaveLength(2);
    await spool.takeAgain(files, { most: 1e6, free: () => Promise.resolve(1e12) });
    expect(there()).toEqual([true, true, true, true, true]);
    for (const [each, path] of files)
      expect(fs.readFileSync(spool.pathOf(each))).toEqual(fs.readFileSync(path));
  });

  test('is not given away while another counts on it, nor when nobody does', async () => {
    const { spool, ask } = await spoolAt(folder());
    const [mine, other] = [{}, {}];
    value(await ask(mine));
    value(await ask(other));
    expect(spool.giveAway(hash, mine)).toBe(false);
    spool.release(mine);
    spool.release(other);
    expect(spool.giveAway(hash, mine)).toBe(false);
  });
});

describe('a content that another return is bringing', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is waited for as long as something of it comes', async () => {
    const { spool, asked, ask } = await spoolAt(folder());
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const slow = {};
    expect(spool.claim(hash, data.length, slow)).toBe(0);
    const mine = ask({});
    for (let at = 0; at < data.length; at += 3) {
      await vi.advanceTimersByTimeAsync(50_000);
      await spool.take(piece(at, Math.min(at + 3, data.length)));
    }
    value(await mine);
    expect(asked).toEqual([]);
    expect(fs.readFileSync(spool.pathOf(hash))).toEqual(data);
  });

  test('is brought anew when nothing of it comes any more', async () => {
    const { spool, asked, ask } = await spoolAt(folder());
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    expect(spool.claim(hash, data.length, {})).toBe(0);
    await spool.take(piece(0, 3));
    const mine = ask({});
    await vi.advanceTimersByTimeAsync(70_000);
    value(await mine);
    expect(asked).toEqual([hash]);
    expect(fs.readFileSync(spool.pathOf(hash))).toEqual(data);
  });

  test('is not given away by one who has it while it comes once more', async () => {
    const { spool, ask } = await spoolAt(folder());
    const mine = {};
    value(await ask(mine));
    expect(spool.claim(hash, data.length, {})).toBe(0);
    expect(spool.giveAway(hash, mine)).toBe(false);
  });
});

describe('pieces that come on several streams', () => {
  async function claimed(order?: PieceOrder): Promise<Spool> {
    const store = value(await Store.open({ folder: folder(), hasher: hasher() }));
    onTestFinished(() => store.close());
    const spool = new Spool(store, order);
    expect(spool.claim(hash, data.length, {})).toBe(0);
    return spool;
  }

  test('are put together in their order', async () => {
    const spool = await claimed();
    const arrived = spool.arrival(hash);
    const late = [spool.take(piece(9, data.length)), spool.take(piece(4, 9))];
    await spool.take(piece(0, 4));
    await Promise.all(late);
    value(await arrived);
    expect(fs.readFileSync(spool.pathOf(hash))).toEqual(data);
  });

  test('are let go when the content will not come', async () => {
    const spool = await claimed();
    const late = spool.take(piece(4, 9));
    await spool.drop(hash, 'the file is gone');
    await late;
    expect(spool.heldOf(hash)).toBeUndefined();
  });

  test('fail the content when one before them never comes', async () => {
    const spool = await claimed(new PieceOrder(20));
    const arrived = spool.arrival(hash);
    await spool.take(piece(4, 9));
    expect((await arrived).ok).toBe(false);
  });
});
