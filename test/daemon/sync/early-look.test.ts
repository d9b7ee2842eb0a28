import { expect, test } from 'vitest';
import { EarlyLooks } from '../../../daemon/sync/early-look.ts';
import type { Change, Entry, Manifest } from '../../../src/tree/manifest.ts';
import type { Snapshot } from '../../../src/tree/tree.ts';

const file: Entry = { kind: 'file', mode: 0o644, size: 1, mtime: 1n, hash: '00'.repeat(32) };
const link: Entry = { kind: 'symlink', target: 'x', mtime: 1n };
const put = (path: string, entry: Entry = file): Change => ({ op: 'put', path, entry });
const any = (): boolean => true;

function snapshot(manifest: Manifest): Snapshot {
  return {
    ...{
      manifest,
      changes: [],
      scanTime: 0n,
      newest: 0n,
      bytes: 0,
      refused: [],
      restless: [],
      leftovers: [],
    },
  };
}

test('tells what changed since the look that is named, and everything to whoever names none of its own', () => {
  const looks = new EarlyLooks();
  const manifest: Manifest = new Map<string, Entry>([
    ['a.c', file],
    ['l.c', link],
    ['b.txt', file],
  ]);
  looks.looked([put('a.c'), put('l.c', link), put('b.txt')]);
  const first = looks.newsSince('', manifest, (path) => path.endsWith('.c'));
  expect(first).toMatchObject({ whole: true, put: ['a.c'], links: ['l.c'], gone: [] });
  looks.looked([]);
  const second = looks.newsSince(first.look, manifest, any);
  expect(second).toMatchObject({ whole: false, put: [], links: [], gone: [] });
  manifest.delete('a.c');
  looks.looked([{ op: 'gone', path: 'a.c' }]);
  looks.looked([put('b.txt')]);
  const third = looks.newsSince(first.look, manifest, any);
  expect(third).toMatchObject({ whole: false, put: ['b.txt'], gone: ['a.c'] });
  expect(looks.newsSince(third.look, manifest, any)).toMatchObject({ put: [], gone: [] });
  expect(new EarlyLooks().newsSince(third.look, manifest, any).whole).toBe(true);
});

test('a look serves one command, and none after another look', () => {
  const looks = new EarlyLooks();
  const seen = snapshot(new Map());
  const look = (): string => {
    looks.looked([]);
    looks.keep({ snapshot: seen, begun: performance.now(), took: 0, there: Promise.resolve(true) });
    return looks.newsSince('', seen.manifest, any).look;
  };
  const name = look();
  expect(looks.take(name)?.snapshot).toBe(seen);
  expect(looks.take(name)).toBeUndefined();
  const other = look();
  looks.looked([]);
  expect(looks.take(other)).toBeUndefined();
  look();
  expect(looks.take('')).toBeUndefined();
  looks.looked([]);
  looks.keep({
    snapshot: seen,
    begun: performance.now() - 60_000,
    took: 0,
    there: Promise.resolve(true),
  });
  expect(looks.take(looks.newsSince('', seen.manifest, any).look)).toBeUndefined();
});
