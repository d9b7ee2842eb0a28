import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { History, HISTORY_LIMIT } from '../../../daemon/journal/history.ts';
import type { JournalLine } from '../../../daemon/journal/record.ts';

let folder: string;
let path: string;
const complaints: string[] = [];
const open = () => History.open(path, (what) => complaints.push(what));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-history-'));
  path = join(folder, 'history.jsonl');
  complaints.length = 0;
});
afterEach(() => {
  expect(complaints).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

const line = (at: number, more: Partial<JournalLine> = {}): JournalLine => ({
  id: at.toString(16).padStart(32, '0'),
  command: `make ${at}`,
  argv: ['make', String(at)],
  cwd: '/p',
  decision: 'local',
  reason: 'no worker is configured',
  worker: null,
  exit: null,
  signal: null,
  phases: {},
  bytes: { sent: 0, received: 0, output: 0 },
  startedAt: '2026-01-01T00:00:00.000Z',
  tool: 'make',
  conflicts: [],
  details: null,
  project: '',
  kind: '',
  ended: true,
  ...more,
});
const commands = (lines: readonly JournalLine[]) => lines.map((each) => each.command);

test('what memory does not hold is read from the file, newest first', async () => {
  const history = open();
  for (let at = 0; at < 1500; at++) history.record(line(at));
  const last = await history.last(1200);
  expect(last).toHaveLength(1200);
  expect(commands(last.slice(0, 2))).toEqual(['make 1499', 'make 1498']);
  expect(last.at(-1)?.command).toBe('make 300');
  await history.close();
});

test('the later line of a command counts, also after the file was opened again', async () => {
  const history = open();
  history.record(line(1, { decision: 'remote', worker: 'css', ended: false }));
  history.record(line(2));
  history.record(line(1, { decision: 'remote', worker: 'css', exit: 0 }));
  expect(commands(await history.last(5))).toEqual(['make 2', 'make 1']);
  await history.close();
  const again = open();
  expect(again.find('0'.repeat(31) + '1')).toMatchObject({ worker: 'css', exit: 0, ended: true });
  expect(commands(await again.last(5))).toEqual(['make 2', 'make 1']);
  await again.close();
});

test('the file stays bounded, and what is left of the older one is still found', async () => {
  const history = open();
  const reason = 'x'.repeat(50_000);
  for (let at = 0; at < 200; at++) {
    history.record(line(at, { reason }));
    await history.last(1);
    if (at % 20 === 0) await history.settled();
  }
  await history.close();
  expect(statSync(path).size).toBeLessThanOrEqual(HISTORY_LIMIT);
  const again = open();
  expect(commands(await again.last(200))).toHaveLength(200);
  await again.close();
});
