import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hashBytes } from '../../src/tree/hash.ts';
import { Store } from '../../src/tree/store.ts';
import { folder, hasher, reason, value } from './rig.ts';

async function open(at: string): Promise<Store> {
  const store = value(await Store.open({ folder: at, hasher: hasher() }));
  onTestFinished(() => store.close());
  return store;
}

const content = (text: string): { hash: string; data: Buffer } => {
  const data = Buffer.from(text);
  return { hash: hashBytes(data), data };
};
const read = (store: Store, hash: string): string => fs.readFileSync(store.pathOf(hash), 'latin1');

describe('the store', () => {
  test('keeps contents over a restart, closed to others', async () => {
    const at = join(folder(), 'new', 'store');
    const first = await open(at);
    const { hash, data } = content('hello');
    expect(first.has(hash)).toBe(false);
    value(first.put(hash, data));
    value(first.put(hash, data));
    expect(first.bytes).toBe(5);
    await first.close();
    const second = await open(at);
    expect(second.has(hash)).toBe(true);
    expect(second.sizeOf(hash)).toBe(5);
    expect(read(second, hash)).toBe('hello');
    expect(fs.statSync(at).mode & 0o777).toBe(0o700);
    expect(fs.statSync(second.pathOf(hash)).mode & 0o077).toBe(0);
  });

  test('goes on in a folder that was emptied, or removed, under it', async () => {
    const at = join(folder(), 'store');
    const store = await open(at);
    const [one, two, three] = [content('one'), content('two'), content('three')];
    value(store.put(one.hash, one.data));
    for (const empty of [false, true]) {
      fs.rmSync(at, { recursive: true });
      if (empty) fs.mkdirSync(at);
      value(store.put(two.hash, two.data));
      expect(read(store, two.hash)).toBe('two');
      // What was in it is known to be gone.
      expect(store.has(one.hash)).toBe(false);
      expect(store.bytes).toBe(3);
      fs.rmSync(at, { recursive: true });
      value(await store.begin(three.hash, three.data.length));
      value(await store.write(three.hash, 0, three.data));
      value(await store.finish(three.hash));
      expect(read(store, three.hash)).toBe('three');
      expect(store.bytes).toBe(5);
    }
    expect(fs.statSync(join(at, 'partial')).mode & 0o777).toBe(0o700);
  });

  test('makes the folder of a content anew that alone was removed', async () => {
    const store = await open(join(folder(), 'store'));
    const [one, two] = [content('one'), content('two')];
    value(await store.begin(two.hash, two.data.length));
    for (const { hash } of [one, two])
      fs.rmSync(join(store.pathOf(hash).toString(), '..'), { recursive: true, force: true });
    value(store.put(one.hash, one.data));
    value(await store.write(two.hash, 0, two.data));
    value(await store.finish(two.hash));
    expect([read(store, one.hash), read(store, two.hash)]).toEqual(['one', 'two']);
  });

  test('counts bytes right when a content is taken away while it collects', async () => {
    const store = await open(join(folder(), 'store'));
    const [one, two] = [content('one'), content('twoo')];
    for (const each of [one, two]) value(store.put(each.hash, each.data));
    const pinned = {
      has: (hash: string): boolean => {
        if (hash === one.hash) {
          fs.rmSync(store.pathOf(two.hash), { force: true });
          store.lookFor(two.hash);
        }
        return hash === one.hash;
      },
    };
    await store.collect(0, pinned);
    expect(store.has(one.hash)).toBe(true);
    expect(store.bytes).toBe(3);
  });

  test('refuses a content that is not that of its hash, whichever way it comes', async () => {
    const at = folder();
    const store = await open(at);
    const { hash, data } = content('true');
    const lie = Buffer.from('lies');
    expect(reason(store.put(hash, lie))).toContain('not that of its hash');
    value(await store.begin(hash, 4));
    value(await store.write(hash, 0, lie));
    expect(reason(await store.finish(hash))).toContain('not that of its hash');
    expect(store.partial(hash)).toBe(0);
    const file = join(folder(), 'lie');
    fs.writeFileSync(file, lie);
    expect(reason(await store.add(Buffer.from(file), hash))).toContain('is not the content');
    expect(reason(store.put('../../x', data))).toContain('is not a hash');
    expect(reason(await store.begin('../../x', 4))).toContain('is not a hash');
    expect(store.has(hash)).toBe(false);
    expect(fs.readdirSync(join(at, 'partial'))).toEqual([]);
  });

  test('goes on with an upload where it stopped, also after a restart', async () => {
    const at = folder();
    const { hash, data } = content('0123456789'.repeat(100_000));
    const first = await open(at);
    expect(value(await first.begin(hash, data.length))).toBe(0);
    value(await first.write(hash, 0, data.subarray(0, 300_000)));
    expect(first.partial(hash)).toBe(300_000);
    await first.close();
    const second = await open(at);
    expect(second.partial(hash)).toBe(300_000);
    expect(value(await second.begin(hash, data.length))).toBe(300_000);
    value(await second.write(hash, 300_000, data.subarray(300_000)));
    value(await second.finish(hash));
    expect(fs.readFileSync(second.pathOf(hash)).equals(data)).toBe(true);
    expect(second.partial(hash)).toBe(0);
  });

  test('takes pieces in any order, and twice', async () => {
    const store = await open(folder());
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 400 }),
        fc.array(fc.tuple(fc.nat(400), fc.nat(100)), { maxLength: 12 }),
        async (bytes, pieces) => {
          const data = Buffer.from(bytes);
          const hash = hashBytes(data);
          value(await store.begin(hash, data.length));
          for (const [from, length] of pieces) {
            const offset = Math.min(from, data.length);
            value(await store.write(hash, offset, data.subarray(offset, offset + length)));
          }
          const { length } = data;
          for (let at = 0; at < length; at += 37)
            value(await store.write(hash, at, data.subarray(at, at + 37)));
          value(await store.finish(hash));
          expect(fs.readFileSync(store.pathOf(hash)).equals(data)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('refuses pieces that lie outside the content', async () => {
    const store = await open(folder());
    const { hash } = content('four');
    value(await store.begin(hash, 4));
    expect(reason(await store.write(hash, 2, Buffer.from('long')))).toContain('a piece of 4 bytes');
    expect(reason(await store.write(hash, -1, Buffer.from('x')))).toContain('at -1');
    expect(reason(await store.write(content('x').hash, 0, Buffer.from('x')))).toContain(
      'not begun',
    );
  });

  test('writes no zeros to the disk, coming or copied', async () => {
    const store = await open(folder());
    const data = Buffer.alloc(8 << 20);
    data.write('middle', 4 << 20);
    const hash = hashBytes(data);
    value(await store.begin(hash, data.length));
    for (let at = 0; at < data.length; at += 1 << 20)
      value(await store.write(hash, at, data.subarray(at, at + (1 << 20))));
    value(await store.finish(hash));
    const held = fs.statSync(store.pathOf(hash));
    expect(held.size).toBe(data.length);
    expect(held.blocks * 512).toBeLessThan(1 << 20);
    const other = await open(folder());
    value(await other.add(store.pathOf(hash), hash));
    expect(fs.statSync(other.pathOf(hash)).blocks * 512).toBeLessThan(1 << 20);
    expect(fs.readFileSync(other.pathOf(hash)).equals(data)).toBe(true);
  });

  test('drops what was not used for longest, keeps what is pinned, and tells what came free', async () => {
    const at = folder();
    const first = await open(at);
    const all = ['a', 'b', 'c', 'd'].map((letter) => content(letter.repeat(100)));
    const [a, b, c, d] = all.map(({ hash }) => hash) as [string, string, string, string];
    for (const { hash, data } of all) {
      value(first.put(hash, data));
      const start = Date.now();
      while (Date.now() === start) await new Promise((done) => setImmediate(done));
    }
    expect(first.has(a)).toBe(true);
    await first.close();
    const store = await open(at);
    fs.linkSync(store.pathOf(c), join(at, 'placed'));
    const collected = await store.collect(150, new Set([b]));
    expect(collected).toEqual({ freed: 200, held: 100, removed: [c, d, a] });
    expect([a, b, c, d].map((hash) => store.has(hash))).toEqual([false, true, false, false]);
    expect(fs.existsSync(store.pathOf(c))).toBe(false);
    expect((await store.collect(150, new Set())).removed).toEqual([]);
  });

  test('does not mind what a crash or another process left in its folder', async () => {
    const at = folder();
    const first = await open(at);
    const { hash, data } = content('kept');
    value(first.put(hash, data));
    fs.writeFileSync(join(at, 'used'), 'torn line without');
    fs.writeFileSync(join(at, 'partial', '.1.2.3'), 'x');
    fs.writeFileSync(join(at, 'ab', 'no hash'), 'x');
    const second = await open(at);
    expect(second.has(hash)).toBe(true);
    const other = content('of another process');
    value(first.put(other.hash, other.data));
    value(second.put(other.hash, other.data));
    expect(read(second, other.hash)).toBe('of another process');
    fs.rmSync(second.pathOf(hash));
    expect((await second.collect(0, new Set())).held).toBe(0);
  });
});
