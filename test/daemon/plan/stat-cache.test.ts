import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StatCache, type Watch } from '../../../daemon/plan/stat-cache.ts';

let folder: string;
let made: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-stat-cache-'));
  made = 0;
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

/** What changed moments ago is not believed: the inode's own time is waited out. */
const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

async function asked(cache: StatCache<number>, watch: (watch: Watch) => void): Promise<number> {
  return cache.get('key', (tell) => {
    watch(tell);
    made += 1;
    return Promise.resolve(made);
  });
}

it('holds a value until what it was made from changes', async () => {
  const cache = new StatCache<number>();
  const watch = (tell: Watch): void => {
    tell(folder);
  };
  await rest();
  expect(await asked(cache, watch)).toBe(1);
  expect(await asked(cache, watch)).toBe(1);
  mkdirSync(join(folder, 'target'));
  // It changed moments ago, and may again within the same tick.
  vi.useFakeTimers({ toFake: ['Date'], now: statSync(folder).ctimeMs + 10 });
  expect(await asked(cache, watch)).toBe(2);
  expect(await asked(cache, watch)).toBe(3);
  vi.setSystemTime(statSync(folder).ctimeMs + 30);
  expect(await asked(cache, watch)).toBe(4);
  expect(await asked(cache, watch)).toBe(4);
});

it('does not mind one name in a folder, and minds all others', async () => {
  const cache = new StatCache<number>();
  const watch = (tell: Watch): void => {
    tell(folder, 'target');
  };
  await rest();
  expect(await asked(cache, watch)).toBe(1);
  mkdirSync(join(folder, 'target'));
  expect(await asked(cache, watch)).toBe(1);
  rmSync(join(folder, 'target'), { recursive: true });
  expect(await asked(cache, watch)).toBe(1);
  writeFileSync(join(folder, 'build.rs'), '');
  await rest();
  expect(await asked(cache, watch)).toBe(2);
  rmSync(join(folder, 'build.rs'));
  await rest();
  expect(await asked(cache, watch)).toBe(3);
  rmSync(folder, { recursive: true });
  expect(await asked(cache, watch)).toBe(4);
});

it('minds all of a folder that somebody needs whole', async () => {
  const cache = new StatCache<number>();
  const watch = (tell: Watch): void => {
    tell(folder, 'target');
    tell(folder);
    tell(folder, 'target');
  };
  await rest();
  expect(await asked(cache, watch)).toBe(1);
  mkdirSync(join(folder, 'target'));
  expect(await asked(cache, watch)).toBe(2);
});

it('does not mind the times of a folder whose names matter, and minds what comes as it gets them', async () => {
  const cache = new StatCache<number>();
  const watch = (tell: Watch): void => {
    tell(folder, '');
    tell(join(folder, 'src'), '');
  };
  mkdirSync(join(folder, 'src'));
  await rest();
  expect(await asked(cache, watch)).toBe(1);
  // As when results were placed below it.
  const { atime, mtime } = statSync(folder);
  utimesSync(folder, atime, mtime);
  expect(await asked(cache, watch)).toBe(1);
  writeFileSync(join(folder, 'build.rs'), '');
  utimesSync(folder, atime, mtime);
  await rest();
  expect(await asked(cache, watch)).toBe(2);
  rmSync(join(folder, 'src'), { recursive: true });
  writeFileSync(join(folder, 'src'), '');
  await rest();
  expect(await asked(cache, watch)).toBe(3);
  writeFileSync(join(folder, 'src'), 'longer');
  await rest();
  expect(await asked(cache, watch)).toBe(4);
});
