/** The log is read across its older files and followed through rotations; nothing is missed, nothing comes twice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AppendFile } from '../../daemon/journal/append-file.ts';
import { logPlaceOf, openLog } from '../../daemon/journal/log.ts';
import { daemonLog, layoutFor } from '../../src/base/layout.ts';
import { Follower, lastLines } from '../../src/cli/log-files.ts';
import { defaultConfig } from '../../src/config/schema.ts';
import { within } from '../daemon/front/rig.ts';

const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
let folder: string;
let path: string;
let file: AppendFile;
let written = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-logs-'));
  path = join(folder, 'rchd.log');
  file = fileWith(100);
  written = 0;
});
afterEach(async () => {
  await file.close();
  rmSync(folder, { recursive: true, force: true });
});

function fileWith(limit: number, at = path): AppendFile {
  return new AppendFile(at, {
    ...{ limit, keep: 3 },
    onFailure: (reason) => {
      throw new Error(reason);
    },
  });
}

/** Lines of 30 bytes, three of which fit into a file. */
async function write(count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    written += 1;
    file.append(String(written).padStart(29, '.'));
    await file.flush();
  }
}

const numbers = (lines: readonly string[]): number[] =>
  lines.map((line) => Number(line.replaceAll('.', '')));
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

it('keeps so many older files and no more, and reads back through them', async () => {
  await write(14);
  expect(readdirSync(folder).sort()).toEqual([
    'rchd.log',
    'rchd.log.1',
    'rchd.log.2',
    'rchd.log.3',
  ]);
  expect(numbers(await lastLines(path, 5, () => true))).toEqual(range(10, 14));
  expect(numbers(await lastLines(path, 100, () => true))).toEqual(range(4, 14));
  const even = (line: string): boolean => (numbers([line])[0] ?? 1) % 2 === 0;
  expect(numbers(await lastLines(path, 3, even))).toEqual([10, 12, 14]);
});

it('takes away files beyond a bound that was lowered', async () => {
  await write(14);
  const { general } = defaultConfig();
  const place = logPlaceOf(layoutFor({ HOME: folder }), {
    ...general,
    logFile: path,
    logKeepFiles: 1,
  });
  const log = openLog(place, { level: 'info', echo: false });
  await log.close();
  expect(readdirSync(folder).sort()).toEqual(['rchd.log', 'rchd.log.1']);
});

it('follows from one file into the next, however many came between two looks', async () => {
  await write(2);
  const seen: string[] = [];
  const follower = new Follower(path, (line) => seen.push(line));
  const over = new AbortController();
  for (const count of [1, 1, 3, 7, 0, 2, 8]) {
    await write(count);
    follower.look();
  }
  expect(numbers(seen)).toEqual(range(3, written));
  const followed = follower.follow(over.signal);
  over.abort();
  await followed;
});

it('prints the end and what comes, through a rotation, until nobody reads any more', async () => {
  const log = daemonLog(layoutFor({ HOME: folder }));
  await file.close();
  file = fileWith(100, log);
  await write(2);
  const child = spawn(
    process.execPath,
    [join(top, 'dist', 'lib', 'rch.mjs'), 'logs', '-f', '-n', '1', '--json'],
    { env: { HOME: folder, PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const seen: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => seen.push(line));
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) await within(`line ${count}`, once(lines, 'line'));
  };
  await until(1);
  for (let round = 1; round <= 8; round++) {
    await write(1);
    await until(1 + round);
  }
  expect(numbers(seen)).toEqual(range(2, 10));
  expect(existsSync(`${log}.2`)).toBe(true);
  const gone = once(child, 'exit');
  child.stdout.destroy();
  await write(1);
  expect((await within('its end', gone))[0]).toBe(0);
});
