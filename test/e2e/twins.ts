/** Runs one command twice at the same path, once here and once on a worker, and compares everything. */
import { mkdirSync, rmSync } from 'node:fs';
import { expect } from 'vitest';
import { differences, snapshot, type TreeSnapshot } from '../rig/tree-snapshot.ts';
import type { Ended, HistoryRow, World } from '../rig/world.ts';

export type Twin = {
  readonly local: Ended;
  readonly remote: Ended;
  readonly localTree: TreeSnapshot;
  readonly remoteTree: TreeSnapshot;
  readonly row: HistoryRow;
};

export type TwinOptions = {
  readonly folder: string;
  /** Makes the project in the folder, which exists and is empty. */
  readonly lay: () => void | Promise<void>;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Paths that are not compared at all: pure caches. */
  readonly leaveOut?: (path: string) => boolean;
  /** Paths whose bytes hold times or numbers that differ between any two runs. */
  readonly sameContent?: (path: string) => boolean;
};

/** Cargo's pure cache. */
export const cargoCaches = (path: string): boolean => /(^|\/)incremental(\/|$)/.test(path);

export async function twins(world: World, options: TwinOptions): Promise<Twin> {
  const once = async (remote: boolean): Promise<{ ended: Ended; tree: TreeSnapshot }> => {
    rmSync(options.folder, { recursive: true, force: true });
    mkdirSync(options.folder, { recursive: true });
    await options.lay();
    const ended = await world.run(options.argv, {
      cwd: options.folder,
      shims: remote,
      env: { RCH_FORCE_REMOTE: '1', ...options.env },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    return { ended, tree: snapshot(options.folder, options.leaveOut) };
  };
  const here = await once(false);
  const there = await once(true);
  const [row] = await world.history(1);
  if (row === undefined) throw new Error('the daemon has no history');
  return {
    local: here.ended,
    remote: there.ended,
    localTree: here.tree,
    remoteTree: there.tree,
    row,
  };
}

/** cargo's "Finished … in 0.52s": the one thing in its output that no two runs share. */
export function withoutTimes(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/in (\d+m )?\d+(\.\d+)?m?s|finished in [0-9.]+s/g, 'in TIME');
}

/** Law 1 to 3, and that it was the worker that ran it. */
export function expectSame(twin: Twin, options: TwinOptions): void {
  expect(twin.row, twin.row.reason).toMatchObject({ decision: 'remote' });
  expect(withoutTimes(twin.remote.stdout)).toBe(withoutTimes(twin.local.stdout));
  expect(withoutTimes(twin.remote.stderr)).toBe(withoutTimes(twin.local.stderr));
  expect([twin.remote.code, twin.remote.signal]).toEqual([twin.local.code, twin.local.signal]);
  expect(differences(twin.localTree, twin.remoteTree, options.sameContent)).toEqual([]);
}

/** ninja counts its edges in the order in which they happen to start. */
const ninjaSteps = (bytes: Buffer): string =>
  bytes
    .toString('latin1')
    .replace(/\[\d+\/(\d+)\]/g, '[n/$1]')
    .split('\n')
    .sort()
    .join('\n');

/** As expectSame, for ninja. */
export function expectSameNinja(twin: Twin, options: TwinOptions): void {
  expect(twin.row, twin.row.reason).toMatchObject({ decision: 'remote' });
  expect(ninjaSteps(twin.remote.stdout)).toBe(ninjaSteps(twin.local.stdout));
  expect(twin.remote.stderr.toString('latin1')).toBe(twin.local.stderr.toString('latin1'));
  expect([twin.remote.code, twin.remote.signal]).toEqual([twin.local.code, twin.local.signal]);
  expect(differences(twin.localTree, twin.remoteTree, options.sameContent)).toEqual([]);
}
