import { expect, test } from 'vitest';
import { agree, changesOf, wholeOf } from '../../../daemon/sync/outgoing.ts';
import { applyChanges, checkManifest, diff } from '../../../src/tree/diff.ts';
import { dir, file, manifestOf } from '../../rig/agent-peer.ts';

const local = manifestOf({
  target: dir(),
  'target/debug': dir(),
  'target/debug/incremental': dir(),
  'target/debug/incremental/x': file('x'),
});
const caches = ['target/debug/incremental'];

test('what was sent before it was known to be a cache goes with the folder around it', () => {
  const agreement = { agreed: new Map(), withheld: new Map(), doubtful: new Set<string>() };
  const whole = wholeOf(agreement, local, []);
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
