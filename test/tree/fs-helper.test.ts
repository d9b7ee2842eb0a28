import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { encode } from '../../src/protocol/codec.ts';
import { type FsMessage, fsMessages } from '../../src/protocol/fs.ts';
import {
  type AnyOperation,
  type Operation,
  packOperations,
  readResults,
} from '../../src/tree/apply.ts';
import { errnoName, errnoText, FsHelper } from '../../src/tree/fs-helper.ts';
import { readRecords } from '../../src/tree/scan.ts';
import { clockPasses, folder, helper, program, reason, usesHelper, value } from './rig.ts';

usesHelper();

type Ended = { readonly code: number | null; readonly signal: string | null; readonly err: string };

/** Gives the helper these bytes and then the end of its input. */
function feed(input: Buffer): Promise<Ended> {
  const child = spawn(program(), { stdio: ['pipe', 'pipe', 'pipe'] });
  let err = '';
  child.stdout.resume();
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((done) => {
    child.on('close', (code, signal) => {
      done({ code, signal, err });
    });
  });
}

/** Nothing the sanitizers complain of, nothing a signal ended. */
function ended(end: Ended, codes: readonly number[]): void {
  expect(end.err).not.toMatch(/Sanitizer|runtime error/);
  expect(end.signal).toBeNull();
  expect(codes).toContain(end.code);
}

const scan = (root: string, tree = 1): FsMessage => ({
  type: 'scan',
  request: 1,
  tree,
  root: Buffer.from(root),
  fresh: false,
  skip: [Buffer.from('skipped')],
  only: [],
  quiet: false,
});
const applying = (root: string, operations: AnyOperation[]): FsMessage => ({
  type: 'apply',
  request: 2,
  root: Buffer.from(root),
  suffix: Buffer.from('s'),
  operations: packOperations(operations),
});

describe('rch-fs', () => {
  test('ends with its input, leaving no memory behind', async () => {
    const at = folder();
    fs.mkdirSync(join(at, 'a/b'), { recursive: true });
    fs.symlinkSync('x', join(at, 'a/l'));
    const messages: FsMessage[] = [
      scan(at),
      applying(at, [
        { op: 'dir', path: 'd', guard: 'none' },
        { op: 'symlink', path: 'd/s', guard: 'absent', mtime: 1n, target: 't' },
        { op: 'symlink', path: 'a', guard: 'absent', mtime: 1n, target: 't' },
        { op: 'symlink', path: 'a/l/below', guard: 'absent', mtime: 1n, target: 't' },
        { op: 'special', path: 'd/f', guard: 'absent', kind: 'fifo', mode: 0o620, mtime: 7n },
        { op: 'special', path: 'a/l', guard: 'absent', kind: 'socket', mode: 0o777, mtime: 7n },
        { op: 'dirMeta', path: 'd', mode: 0o755, mtime: 1n },
      ]),
      scan(at),
      { type: 'forget', tree: 1 },
      scan(at, 2),
      scan(join(at, 'missing'), 3),
      applying(join(at, 'missing'), []),
    ];
    const input = Buffer.concat(messages.map((message) => encode(fsMessages, message)));
    ended(await feed(input), [0]);
    expect(fs.readlinkSync(join(at, 'a.rch-s'))).toBe('t');
    expect(fs.readlinkSync(join(at, 'a/l.rch-s/below'))).toBe('t');
    const fifo = fs.lstatSync(join(at, 'd/f'), { bigint: true });
    expect([fifo.isFIFO(), fifo.mode & 0o7777n, fifo.mtimeNs]).toEqual([true, 0o620n, 7n]);
    expect(fs.lstatSync(join(at, 'a/l.rch-s.1')).isSocket()).toBe(true);
    ended(await feed(input.subarray(0, -1)), [0]);
    ended(await feed(Buffer.alloc(0)), [0]);
  });

  test('ends with an error on garbage', async () => {
    ended(await feed(Buffer.from('GET / HTTP/1.1\r\n\r\n')), [1]);
    ended(await feed(Buffer.alloc(64)), [1]);
    ended(
      await feed(encode(fsMessages, { type: 'failed', request: 1, error: 0, message: '' })),
      [1],
    );
    const at = folder();
    const frame = (body: Uint8Array, number: number): Buffer => {
      const head = Buffer.alloc(5);
      head.writeUInt32LE(body.length + 1);
      head.writeUInt8(number, 4);
      return Buffer.concat([head, body]);
    };
    const operations = fc.uint8Array({ maxLength: 60 }).map((bytes) =>
      encode(fsMessages, {
        type: 'apply',
        request: 1,
        root: Buffer.from(at),
        suffix: Buffer.alloc(0),
        operations: Buffer.from(bytes),
      }),
    );
    const bodies = fc
      .tuple(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 0, max: 8 }))
      .map(([body, number]) => frame(body, number));
    await fc.assert(
      fc.asyncProperty(fc.oneof(operations, bodies), async (input) => {
        ended(await feed(input), [0, 1]);
      }),
      { numRuns: 60 },
    );
    expect(fs.readdirSync(at)).toEqual([]);
  });

  test('reads any damaged list of operations without leaving the root', async () => {
    const at = folder();
    const inner = join(at, 'root');
    fs.mkdirSync(inner);
    const message = encode(
      fsMessages,
      applying(inner, [
        {
          op: 'file',
          path: 'a/b',
          guard: { dev: 1n, ino: 2n, size: 3, mtime: 4n, ctime: 5n, mode: 6, nlink: 1 },
          mode: 0o644,
          mtime: 7n,
          size: 4,
          content: { from: 'inline', data: Buffer.from('data') },
        },
        { op: 'hardlink', path: 'c', guard: 'none', to: 'a/b' },
        { op: 'remove', path: 'a/b', guard: 'none' },
        { op: 'meta', path: 'c', guard: 'absent', mode: 0o600, mtime: 1n },
        { op: 'stat', path: '' },
        { op: 'aside', path: 'c' },
      ]),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (where, flip) => {
        const damaged = Buffer.from(message);
        const index = 30 + inner.length + (where % (message.length - 30 - inner.length));
        damaged.writeUInt8(damaged.readUInt8(index) ^ flip, index);
        ended(await feed(damaged), [0, 1]);
        expect(fs.readdirSync(at)).toEqual(['root']);
      }),
      { numRuns: 80 },
    );
  });

  test('tells many folders in the order of the tree, however many threads walk them', async () => {
    const at = folder();
    const names = Array.from({ length: 40 }, (_, n) => String(n).padStart(2, '0'));
    const below = (path: string): string[] => [path, ...names.map((name) => `${path}/${name}`)];
    const tops = names.map((name) => `d${name}`);
    for (const top of tops) {
      fs.mkdirSync(join(at, top));
      for (const name of names) fs.writeFileSync(join(at, top, name), name);
      fs.mkdirSync(join(at, top, 'zz/deep'), { recursive: true });
    }
    const scanner = helper();
    const told = async (): Promise<string[]> => {
      const { records } = value(await scanner.scan(1, Buffer.from(at)));
      return records.map(({ kind, path }) => (kind === 'gone' ? `-${path}` : path));
    };
    const whole = tops.flatMap((top) => [...below(top), `${top}/zz`, `${top}/zz/deep`]);
    expect(await told()).toEqual(['', ...whole]);
    await clockPasses();
    await told();
    expect(await told()).toEqual([]);
    fs.writeFileSync(join(at, 'd07/39'), 'changed');
    fs.rmSync(join(at, 'd09'), { recursive: true });
    fs.rmSync(join(at, 'd11'), { recursive: true });
    fs.writeFileSync(join(at, 'd11'), 'a file now');
    fs.writeFileSync(join(at, 'd20/zz/deep/new'), '');
    const gone = (top: string): string[] => [
      ...names.map((name) => `-${top}/${name}`),
      `-${top}/zz/deep`,
      `-${top}/zz`,
    ];
    expect(await told()).toEqual([
      '',
      'd07/39',
      ...gone('d09'),
      '-d09',
      ...gone('d11'),
      'd11',
      'd20/zz/deep',
      'd20/zz/deep/new',
    ]);
  });

  test('fails what is pending when it cannot be run or dies', async () => {
    const missing = new FsHelper('/nowhere/rch-fs');
    expect(reason(await missing.scan(1, Buffer.from('/')))).toContain('cannot be run');
    const closing = new FsHelper(program());
    const pending = closing.scan(1, Buffer.from(folder()));
    closing.close();
    expect(reason(await pending)).toContain('closed');
    expect(reason(await closing.scan(1, Buffer.from('/')))).toContain('closed');
  });

  test('puts a folder aside with all that is in it, and only where it was told to', async () => {
    const at = folder();
    const root = join(at, 'root');
    const trash = join(at, 'trash');
    const outside = join(at, 'outside');
    for (const each of [join(root, 'd/deep'), trash, join(outside, 'kept')])
      fs.mkdirSync(each, { recursive: true });
    fs.writeFileSync(join(root, 'd/deep/f'), '');
    fs.symlinkSync(outside, join(root, 'link'));
    const apart = new FsHelper(program(), { trash });
    onTestFinished(() => {
      apart.close();
    });
    const paths = ['d', 'd', 'link/kept', 'missing/x'];
    const operations = paths.map((path) => ({ op: 'aside', path }) as const);
    const results = value(await apart.apply(Buffer.from(root), operations));
    expect(results.map(({ outcome }) => outcome)).toEqual(Array(4).fill('done'));
    expect(fs.readdirSync(root)).toEqual(['link']);
    expect(fs.readdirSync(outside)).toEqual(['kept']);
    const [name = '', ...others] = fs.readdirSync(trash);
    expect(others).toEqual([]);
    expect(fs.readdirSync(join(trash, name, 'deep'))).toEqual(['f']);
    const [refused] = value(
      await helper().apply(Buffer.from(root), [{ op: 'aside', path: 'link' }]),
    );
    expect(refused).toMatchObject({ outcome: 'failed' });
    expect(fs.readdirSync(root)).toEqual(['link']);
  });

  test('does operations that fill several messages, and skips what follows a failure', async () => {
    const at = folder();
    const big = Buffer.alloc(1 << 20, 'b');
    const operations = Array.from({ length: 9 }, (_, n): Operation => {
      const content = { from: 'inline', data: big } as const;
      const path = n === 6 ? 'missing/6' : `f${n}`;
      return { op: 'file', path, guard: 'none', mode: 0o644, mtime: 1n, size: big.length, content };
    });
    const results = value(await helper().apply(Buffer.from(at), operations));
    expect(results.map((result) => result.outcome)).toEqual([
      ...Array<string>(6).fill('done'),
      'failed',
      'skipped',
      'skipped',
    ]);
    expect(fs.readdirSync(at)).toHaveLength(6);
  });
});

test('records and results of a helper gone mad are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readRecords(Buffer.from(bytes));
      readResults(Buffer.from(bytes));
    }),
    { numRuns: 1000 },
  );
  expect(reason(readRecords(Buffer.from([99, 0, 0, 0, 0])))).toContain('unknown tag');
  expect(reason(readResults(Buffer.from([0])))).toContain('cut short');
});

test('errors have names, also those that libuv does not know', () => {
  expect(errnoText(28)).toBe('no space left on device (ENOSPC)');
  expect(errnoName(74)).toBe('EBADMSG');
  expect(errnoText(74)).toBe('EBADMSG');
  expect(errnoText(9999)).toBe('errno 9999');
});
