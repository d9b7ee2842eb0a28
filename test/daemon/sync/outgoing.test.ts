import { expect, test } from 'vitest';
import {
  agree,
  cachesIn,
  changesOf,
  emptied,
  outdated,
  wholeOf,
} from '../../../daemon/sync/outgoing.ts';
import type { Change } from '../../../src/tree/manifest.ts';
import { applyChanges, checkManifest, diff } from '../../../src/tree/diff.ts';
import { dir, file, manifestOf } from '../../rig/agent-peer.ts';

const local = manifestOf({
  target: dir(),
  'target/debug': dir(),
  'target/debug/incremental': dir(),
  'target/debug/incremental/x': file('x'),
});
const caches = cachesIn(local, ['target/debug/incremental'], { cold: [] });

test('what was sent before it was known to be a cache goes with the folder around it', () => {
  const agreement = { agreed: new Map(), withheld: new Map(), doubtful: new Set<string>() };
  const whole = wholeOf(agreement, local, () => undefined);
  agree(agreement, diff(new Map(), whole));
  for (const path of local.keys()) agreement.doubtful.add(path);
  expect(
    changesOf(agreement, manifestOf({ target: dir(), 'target/debug': dir() }), caches),
  ).toEqual([]);
  for (const path of local.keys()) agreement.doubtful.add(path);
  const changes = changesOf(agreement, manifestOf({}), caches);
  expect(changes.map(({ path }) => path)).toContain('target/debug/incremental/x');
  expect(checkManifest(applyChanges(whole, changes)).ok).toBe(true);
});

test('of what a tool fills its caches stay here, whichever the command names; all else of that name goes', () => {
  const filled = { mark: '.cargo-lock', cache: 'incremental', units: '.fingerprint' };
  const tree = manifestOf({
    incremental: file('i'),
    target: dir(),
    'target/debug': dir(),
    'target/debug/.cargo-lock': file(''),
    'target/debug/incremental': dir(),
    'target/debug/incremental/x': file('x'),
    'target/other': dir(),
    'target/other/incremental': file('o'),
    'src/.cargo-lock': file(''),
    'src/incremental': file('s'),
  });
  const cacheOf = cachesIn(tree, ['out/cache'], { cold: ['target'], filled });
  expect([...tree.keys()].filter((path) => cacheOf(path) !== undefined)).toEqual([
    'target/debug/incremental',
    'target/debug/incremental/x',
  ]);
  expect(cacheOf('out/cache/x')).toBe('out/cache');
});

test('where a tool made a unit anew that the worker did without, the rest of it goes; nothing of other units does', () => {
  const filled = { mark: '.cargo-lock', cache: 'incremental', units: '.fingerprint' };
  const unit = 'target/debug/.fingerprint/app-1';
  const withheld = manifestOf({
    [unit]: dir(),
    [`${unit}/bin-app`]: file('old'),
    [`${unit}/output-bin-app`]: file('warning'),
    'target/debug/.fingerprint/app-2/output-lib-app': file('warning'),
    'target/debug/deps/app-1': file('x'),
  });
  const made = (path: string): Change => ({ op: 'put', path, entry: file('new') });
  const changes = [made(`${unit}/bin-app`), made('target/debug/deps/app-1')];
  expect(outdated({ withheld }, changes, filled)).toEqual([
    { op: 'gone', path: `${unit}/output-bin-app` },
  ]);
  expect(outdated({ withheld }, changes, undefined)).toEqual([]);
});

test('with what a tool made in a folder its cache there goes, though the folder was made anew; else it stays', () => {
  const filled = { mark: '.cargo-lock', cache: 'incremental', units: '.fingerprint' };
  const of = { caches: ['target/debug/incremental', 'target/release/incremental'], filled };
  const built = manifestOf({
    target: dir(),
    'target/debug': dir(),
    'target/debug/.cargo-lock': file(''),
    'target/debug/.fingerprint': dir(),
  });
  const cleaned = manifestOf({
    target: dir(),
    'target/debug': dir(),
    'target/debug/.cargo-lock': file(''),
  });
  expect(emptied({ agreed: built }, cleaned, of)).toEqual([
    { op: 'gone', path: 'target/debug/incremental' },
  ]);
  expect(emptied({ agreed: built }, built, of)).toEqual([]);
  expect(emptied({ agreed: cleaned }, cleaned, of)).toEqual([]);
  expect(emptied({ agreed: built }, cleaned, { caches: of.caches })).toEqual([]);
});
