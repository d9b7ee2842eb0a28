import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';
import { sinceOf } from '../../../src/cli/history.ts';
import { historyText } from '../../../src/cli/render/history.ts';
import { numbersOf } from '../../../src/cli/render/numbers.ts';
import { partsOf, timelineText } from '../../../src/cli/render/timeline.ts';
import type { HistoryRecord } from '../../../src/protocol/methods.ts';

const record: HistoryRecord = {
  id: '0123456789abcdef0123456789abcdef',
  command: 'make -j8',
  argv: ['make', '-j8'],
  cwd: '/p',
  decision: 'remote',
  reason: 'worth it',
  worker: 'css',
  exit: 2,
  signal: null,
  phases: { queue: 1, scan: 12, sync: 85, start: 5, run: 2100, return: 40, total: 2300 },
  bytes: { sent: 1e6, received: 2000, output: 10 },
  startedAt: '2026-01-02T03:04:05.678Z',
  tool: 'make',
  conflicts: [],
};
const look = (width: number) => ({ colors: createColors(false), width });

describe('the table', () => {
  it('has each phase where there is room', () => {
    expect(historyText([record], look(140)).split('\n')).toEqual([
      'JOB       WHEN (UTC)           WHERE  QUEUE  SYNC   RUN    RETURN  TOOK   END     COMMAND   REASON',
      '01234567  2026-01-02 03:04:05  css    1 ms   97 ms  2.1 s  40 ms   2.3 s  exit 2  make -j8  worth it',
    ]);
  });

  it.each([80, 100, 120])('fits %i columns, and keeps what names the command', (width) => {
    const lines = historyText([record, { ...record, lost: true, exit: null }], look(width)).split(
      '\n',
    );
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
    expect(lines[1]).toContain('exit 2  make -j8');
    expect(lines[2]).toContain('lost');
  });
});

describe('the timeline', () => {
  it('puts each phase behind the one before, and what is left at the end', () => {
    expect(partsOf(record).map(({ name, begin }) => [name, begin])).toEqual([
      ['queue', 0],
      ['scan', 1],
      ['sync', 13],
      ['start', 98],
      ['run', 103],
      ['return', 2203],
      ['rest', 2243],
    ]);
  });

  it.each([40, 80, 200])('fits %i columns, and shows every phase', (width) => {
    const lines = timelineText(record, look(width)).split('\n');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
    for (const name of ['queue', 'scan', 'sync', 'start', 'run', 'return'])
      expect(lines.find((line) => line.startsWith(name))).toMatch(/[█▏]/);
  });

  it('is plain without colours, and to scale', () => {
    const half = { ...record, phases: { queue: 500, run: 1000, return: 500, total: 2000 } };
    expect(timelineText(half, look(36)).split('\n').slice(3, 7)).toEqual([
      'queue   █████                 500 ms',
      'run          ██████████        1.0 s',
      'return                 █████  500 ms',
      '        0              2.0 s',
    ]);
  });

  it('says so where nothing is known', () => {
    expect(timelineText({ ...record, phases: {} }, look(80))).toContain('is not known');
  });
});

it('sums up what went where', () => {
  const here = {
    ...record,
    decision: 'local' as const,
    worker: null,
    exit: null,
    fallback: 'busy',
  };
  const numbers = numbersOf([record, { ...record, exit: 0, joined: 'x' }, here]);
  expect(numbers).toMatchObject({
    ...{ records: 3, remote: 2, local: 1, failed: 1, lost: 0, joined: 1 },
    fallbacks: { busy: 1 },
    byWorker: { css: 2 },
    bytes: { sent: 2e6 },
  });
  expect(numbers.phases.run).toEqual({ median: 2100, p95: 2100, longest: 2100 });
});

it('understands a time ago and a date, and says what it does not', () => {
  const now = new Date('2026-01-02T12:00:00Z');
  expect(sinceOf('90m', now)).toEqual({ ok: true, value: '2026-01-02T10:30:00.000Z' });
  expect(sinceOf('2d', now)).toEqual({ ok: true, value: '2025-12-31T12:00:00.000Z' });
  expect(sinceOf('2026-01-02T08:00Z', now)).toEqual({
    ok: true,
    value: '2026-01-02T08:00:00.000Z',
  });
  for (const text of ['yesterday', '5', '2026', '2026-13-01'])
    expect(sinceOf(text, now).ok).toBe(false);
});
