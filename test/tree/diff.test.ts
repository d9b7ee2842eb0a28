import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyChanges, checkManifest, diff } from '../../src/tree/diff.ts';
import type { Entry, Manifest } from '../../src/tree/manifest.ts';
import { checkChanges } from '../../src/tree/packed.ts';
import { manifests } from './arbitrary.ts';
import { reason, sorted } from './rig.ts';

const dir: Entry = { kind: 'dir', mode: 0o755, mtime: 1n };
const file = (letter: string, mtime = 1n): Entry => ({
  kind: 'file',
  mode: 0o644,
  size: 1,
  mtime,
  hash: letter.repeat(64),
});
const manifest = (...entries: [string, Entry][]): Manifest => new Map([['', dir], ...entries]);

describe('a difference', () => {
  test('applied to the one manifest gives the other', () => {
    fc.assert(
      fc.property(manifests, manifests, (from, to) => {
        const changes = diff(from, to);
        expect(checkChanges(changes)).toEqual({ ok: true, value: undefined });
        expect(sorted(applyChanges(from, changes))).toEqual(sorted(to));
        expect(checkManifest(to).ok).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('of equal manifests is empty', () => {
    fc.assert(
      fc.property(manifests, (one) => {
        expect(diff(one, new Map(one))).toEqual([]);
      }),
    );
  });

  test('removes children before their folder and puts folders before their children', () => {
    const changes = diff(
      manifest(['a', dir], ['a.c', file('1')], ['a/b', file('1')]),
      manifest(['z', dir], ['z/b', file('1')], ['z.c', file('1')]),
    );
    expect(changes.map((change) => `${change.op} ${change.path}`)).toEqual([
      'gone a/b',
      'gone a.c',
      'gone a',
      'put z',
      'put z.c',
      'put z/b',
    ]);
  });

  test('puts a hard link again when its file becomes another inode', () => {
    const link: Entry = { kind: 'hardlink', to: 'a' };
    const changes = diff(
      manifest(['a', file('1')], ['b', link]),
      manifest(['a', file('2')], ['b', link]),
    );
    expect(changes.map((change) => change.path)).toEqual(['a', 'b']);
  });

  test('makes a change of type one put', () => {
    const changes = diff(
      manifest(['a', dir], ['a/x', file('1')]),
      manifest(['a', { kind: 'symlink', target: 'q', mtime: 1n }]),
    );
    expect(changes.map((change) => `${change.op} ${change.path}`)).toEqual(['gone a/x', 'put a']);
  });
});

test('a manifest that cannot exist is named', () => {
  expect(reason(checkManifest(manifest(['a/b', file('1')])))).toContain('a/b');
  expect(reason(checkManifest(manifest(['b', { kind: 'hardlink', to: 'a' }])))).toContain('b');
  expect(reason(checkManifest(new Map([['', file('1')]])))).toContain('root');
});
