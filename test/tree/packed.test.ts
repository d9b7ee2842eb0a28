import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diff } from '../../src/tree/diff.ts';
import type { Change } from '../../src/tree/manifest.ts';
import { checkChanges, packChanges, unpackChanges } from '../../src/tree/packed.ts';
import { manifests } from './arbitrary.ts';
import { reason, value } from './rig.ts';

const hash = 'ab'.repeat(32);
const file = { kind: 'file', mode: 0o644, size: 1, mtime: 5n, hash } as const;

const dirEntry = { kind: 'dir', mode: 0o755, mtime: 1n } as const;
const put = (path: string, entry: Extract<Change, { op: 'put' }>['entry'] = file): Change => ({
  op: 'put',
  path,
  entry,
});

/** What a peer that does not check would send. */
function sent(...changes: Change[]): Buffer {
  return packChanges(changes)[0] ?? Buffer.alloc(0);
}

describe('packed changes', () => {
  test('come back as they were sent, in parts of any size', () => {
    fc.assert(
      fc.property(manifests, manifests, fc.integer({ min: 1, max: 3000 }), (from, to, size) => {
        const changes = diff(from, to);
        const parts = packChanges(changes, size);
        expect(parts.flatMap((part) => value(unpackChanges(part)))).toEqual(changes);
      }),
      { numRuns: 200 },
    );
  });

  test('of no change are one part that is read as nothing', () => {
    const parts = packChanges([]);
    expect(parts).toHaveLength(1);
    expect(value(unpackChanges(sent()))).toEqual([]);
  });

  test.each([
    ['../x', '`..` part'],
    ['a/../x', '`..` part'],
    ['/etc/passwd', 'is absolute'],
    ['a//b', 'empty'],
    ['a/', 'empty'],
    ['./a', '`.`'],
    ['a\0b', 'NUL'],
    ['x/.rch-tmp-1', '.rch-tmp-'],
    ['n'.repeat(256), 'longer than 255'],
    ['d/'.repeat(2100) + 'x', 'longer than 4096'],
  ])('with the path %j are refused', (path, why) => {
    expect(reason(unpackChanges(sent(put(path))))).toContain(why);
    expect(reason(unpackChanges(sent({ op: 'gone', path })))).toContain(why);
  });

  test('that put something below a file, or twice, are refused', () => {
    expect(reason(unpackChanges(sent(put('a'), put('a/b/c'))))).toContain('not a folder');
    expect(reason(unpackChanges(sent({ op: 'gone', path: 'a' }, put('a/b'))))).toContain('folder');
    expect(reason(unpackChanges(sent(put('a'), put('a'))))).toContain('twice');
    expect(value(unpackChanges(sent(put('a', dirEntry), put('a/b'))))).toHaveLength(2);
  });

  test('that hold an impossible entry are refused', () => {
    const link = (to: string): Change => put('m', { kind: 'hardlink', to });
    expect(reason(unpackChanges(sent(link('z'))))).toContain('sort before');
    expect(reason(unpackChanges(sent(link('../z'))))).toContain('`..`');
    const symlink = put('s', { kind: 'symlink', target: '', mtime: 0n });
    expect(reason(unpackChanges(sent(symlink)))).toContain('empty');
    expect(reason(unpackChanges(sent(put('a', { ...dirEntry, mode: 0o10000 }))))).toContain('mode');
    expect(reason(unpackChanges(sent(put('a', { ...file, size: 2 ** 60 }))))).toContain('bytes');
    expect(reason(unpackChanges(sent(put(''))))).toContain('root');
    expect(reason(unpackChanges(sent({ op: 'gone', path: '' })))).toContain('root');
    expect(value(unpackChanges(sent(put('', dirEntry))))).toHaveLength(1);
  });

  test('spread over parts are checked together by checkChanges', () => {
    expect(reason(checkChanges([put('a'), put('b'), put('a/c')]))).toContain('not a folder');
  });

  test('are never thrown at by garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        unpackChanges(Buffer.from(bytes));
        unpackChanges(Buffer.concat([Buffer.from([1]), bytes]));
      }),
      { numRuns: 2000 },
    );
  });

  test('that were damaged are refused or read as something valid', () => {
    fc.assert(
      fc.property(manifests, fc.nat(), fc.integer({ min: 1, max: 255 }), (to, where, flip) => {
        const part = sent(...diff(new Map(), to));
        const damaged = Buffer.from(part);
        const index = where % part.length;
        damaged.writeUInt8((part.readUInt8(index) ^ flip) & 0xff, index);
        const read = unpackChanges(damaged);
        if (read.ok) expect(checkChanges(read.value).ok).toBe(true);
        unpackChanges(part.subarray(0, index));
      }),
      { numRuns: 500 },
    );
  });
});
