/** What a scan saw of files that had changed just before it, for whoever takes the job up. */
import { describe, expect, it } from 'vitest';
import { COARSE_CLOCK, seenIn, wasSeen } from '../../../daemon/sync/seen.ts';
import type { Entry } from '../../../src/tree/manifest.ts';

const SCAN = 1_800_000_000_000_000_000n;
const file = (mtime: bigint, hash = 'a'.repeat(64)): Entry => ({
  ...{ kind: 'file', mode: 0o644, size: 1, hash },
  mtime,
});
const dir = (mtime: bigint): Entry => ({ kind: 'dir', mode: 0o755, mtime });
const snapshot = (entries: Readonly<Record<string, Entry>>): Parameters<typeof seenIn>[0] => ({
  manifest: new Map(Object.entries(entries)),
  scanTime: SCAN,
  newest: Object.values(entries).reduce(
    (newest, entry) => (entry.kind !== 'hardlink' && entry.mtime > newest ? entry.mtime : newest),
    0n,
  ),
});

describe('what a scan saw', () => {
  const late = SCAN - 2_000_000n;
  const old = SCAN - COARSE_CLOCK - 1n;

  it('is told of what changed so late that its time could be that of a change after it', () => {
    const seen = seenIn(snapshot({ late: file(late), old: file(old), '': dir(late) }));
    expect([...seen.keys()].sort()).toEqual(['', 'late']);
    expect(wasSeen(seen, 'late', file(late))).toBe(true);
    expect(wasSeen(seen, '', dir(late))).toBe(true);
    expect(wasSeen(seen, 'late', file(late, 'b'.repeat(64)))).toBe(false);
    expect(wasSeen(seen, 'late', file(late + 1n))).toBe(false);
    expect(wasSeen(seen, 'late', dir(late))).toBe(false);
    expect(wasSeen(seen, 'another', file(late))).toBe(false);
  });

  it('is nothing where nothing changed of late, or too much did', () => {
    expect(seenIn(snapshot({ old: file(old) })).size).toBe(0);
    const many = Array.from({ length: 1001 }, (_, at) => [String(at), file(late)] as const);
    expect(seenIn(snapshot(Object.fromEntries(many))).size).toBe(0);
  });
});
