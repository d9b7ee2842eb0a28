import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readContent } from '../../src/tree/content.ts';
import { Hasher, hashBytes } from '../../src/tree/hash.ts';
import type { Identity } from '../../src/tree/scan.ts';
import { folder, hasher, openTree, usesHelper, value } from './rig.ts';

usesHelper();

function identityOf(path: string): Identity {
  const stat = fs.lstatSync(path, { bigint: true });
  return {
    dev: stat.dev,
    ino: stat.ino,
    size: Number(stat.size),
    mtime: stat.mtimeNs,
    ctime: stat.ctimeNs,
    mode: Number(stat.mode & 0o7777n),
    nlink: Number(stat.nlink),
  };
}

describe('the hasher', () => {
  test('knows BLAKE3', () => {
    // Test vector of the BLAKE3 team for the empty input.
    expect(hashBytes(Buffer.alloc(0))).toBe(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    );
  });

  test('gives the same in a thread as on the loop, for files of any size', async () => {
    const at = folder();
    const sizes = [0, 1, 65_536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20];
    const data = sizes.map((size) => Buffer.alloc(size, `size ${size}`));
    data.forEach((each, i) => {
      fs.writeFileSync(join(at, String(i)), each);
    });
    const ask = sizes.map((_, i) => ({
      path: String(i),
      identity: identityOf(join(at, String(i))),
    }));
    const used = hasher();
    const expected = data.map((each) => hashBytes(each));
    const all = await used.hashFiles(Buffer.from(at), ask);
    expect(all.map((each) => each.outcome === 'hashed' && each.hash)).toEqual(expected);
    const few = await used.hashFiles(Buffer.from(at), ask.slice(0, 3));
    expect(few.map((each) => each.outcome === 'hashed' && each.hash)).toEqual(expected.slice(0, 3));
    expect(used.counts.files).toBe(10);
  });

  test('tells a file that is another, gone, a symlink or closed', async () => {
    const at = folder();
    for (const name of ['edited', 'gone', 'link']) fs.writeFileSync(join(at, name), 'x');
    const ask = ['edited', 'gone', 'link'].map((path) => ({
      path,
      identity: identityOf(join(at, path)),
    }));
    fs.writeFileSync(join(at, 'edited'), 'y');
    fs.rmSync(join(at, 'gone'));
    fs.rmSync(join(at, 'link'));
    fs.symlinkSync('/etc/passwd', join(at, 'link'));
    const outcomes = await hasher().hashFiles(Buffer.from(at), ask);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['changed', 'gone', 'changed']);
    expect((await hasher().hashFile(Buffer.from(join(at, 'no')))).ok).toBe(false);
  });

  test('takes a file that grew since it was scanned as it was then, where that is asked for', async () => {
    const at = folder();
    const scanned = Buffer.alloc(3 << 20, 'line ');
    fs.writeFileSync(join(at, 'log'), scanned);
    const ask = [{ path: 'log', identity: identityOf(join(at, 'log')) }];
    fs.appendFileSync(join(at, 'log'), 'one more');
    const outcome = async (growing: boolean): Promise<unknown> =>
      (await hasher().hashFiles(Buffer.from(at), ask, { growing }))[0];
    expect(await outcome(false)).toEqual({ outcome: 'changed' });
    const size = scanned.length;
    expect(await outcome(true)).toEqual({ outcome: 'hashed', hash: hashBytes(scanned), size });
    fs.truncateSync(join(at, 'log'), 1 << 20);
    expect(await outcome(true)).toEqual({ outcome: 'changed' });
  });

  test('does not hold up the event loop', async () => {
    const at = folder();
    const file = join(at, 'big');
    fs.writeFileSync(file, Buffer.alloc(64 << 20, 'x'));
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    onTestFinished(() => {
      clearInterval(timer);
    });
    value(await hasher().hashFile(Buffer.from(file)));
    expect(turns).toBeGreaterThan(3);
  });

  test('that was closed with work before it tells that it could not be read', async () => {
    const at = folder();
    fs.writeFileSync(join(at, 'big'), Buffer.alloc(32 << 20, 'x'));
    const closing = new Hasher({ threads: 1 });
    const hashing = closing.hashFile(Buffer.from(join(at, 'big')));
    await closing.close();
    expect((await hashing).ok).toBe(false);
    expect((await closing.hashFile(Buffer.from(join(at, 'big')))).ok).toBe(true);
    await closing.close();
  });
});

describe('content', () => {
  const text = Buffer.alloc(2_500_000, 'some content ');
  const request = (path: string, more = {}): Parameters<typeof readContent>[0] => ({
    path: Buffer.from(path),
    size: text.length,
    hash: hashBytes(text),
    ...more,
  });

  test('is handed on in pieces, from where the receiver stopped', async () => {
    const file = join(folder(), 'f');
    fs.writeFileSync(file, text);
    for (const from of [0, 1, 1 << 20, 2_000_001, text.length]) {
      const pieces: Buffer[] = [];
      let next = from;
      const read = await readContent(request(file, { from }), (offset, part) => {
        expect(offset).toBe(next);
        const data = part.kind === 'bytes' ? part.data : Buffer.alloc(part.length);
        expect(data.length).toBeLessThanOrEqual(1 << 20);
        next += data.length;
        pieces.push(data);
      });
      expect(read.ok).toBe(true);
      expect(Buffer.concat(pieces).equals(text.subarray(from))).toBe(true);
    }
  });

  test('that changed is told so, and one that only grew is not', async () => {
    const file = join(folder(), 'f');
    fs.writeFileSync(file, text);
    const kind = async (): Promise<string> => {
      const read = await readContent(request(file), () => undefined);
      return read.ok ? 'ok' : read.failure.kind;
    };
    fs.appendFileSync(file, 'more');
    expect(await kind()).toBe('ok');
    const edited = Buffer.from(text);
    edited.write('X', 2_000_000);
    fs.writeFileSync(file, edited);
    expect(await kind()).toBe('changed');
    fs.truncateSync(file, 100);
    expect(await kind()).toBe('changed');
    fs.rmSync(file);
    expect(await kind()).toBe('changed');
    fs.symlinkSync('/etc/passwd', file);
    expect(await kind()).toBe('changed');
  });

  test('with holes is hashed and handed on as what it is, its holes unread', async () => {
    const at = folder();
    const size = 40_000_000;
    const whole = Buffer.alloc(size);
    const file = join(at, 'sparse');
    fs.writeFileSync(file, '');
    for (const [from, words] of [
      [5_000_000, 'one'],
      [20_000_000, 'two'],
      [size - 5, 'three'],
    ] as const) {
      whole.write(words, from);
      const handle = fs.openSync(file, 'r+');
      fs.writeSync(handle, words, from);
      fs.closeSync(handle);
    }
    const { tree, helper: used } = openTree(at);
    const snapshot = value(await tree.refresh());
    const hash = hashBytes(whole);
    expect(snapshot.manifest.get('sparse')).toMatchObject({ size, hash });
    const data = await used.extents(Buffer.from(file));
    const held = (data ?? []).reduce((sum, [from, to]) => sum + to - from, 0);
    expect(held).toBeLessThan(1_000_000);
    for (const known of [data, undefined])
      for (const from of [0, 7_000_000, 20_000_001]) {
        const parts: Buffer[] = [];
        let bytes = 0;
        const path = Buffer.from(file);
        const read = await readContent({ path, size, hash, from, data: known }, (_, part) => {
          if (part.kind === 'bytes') bytes += part.data.length;
          parts.push(part.kind === 'bytes' ? part.data : Buffer.alloc(part.length));
        });
        expect(read.ok).toBe(true);
        expect(Buffer.concat(parts).equals(whole.subarray(from))).toBe(true);
        expect(bytes).toBeLessThan(4 << 20);
      }
  });
});
