import { createColors } from 'picocolors';
import { expect, it } from 'vitest';
import { logLine, parseLogLine, wanted } from '../../../src/cli/render/log.ts';

const plain = createColors(false);
const line = (more: Record<string, unknown>): string =>
  JSON.stringify({ level: 30, time: '2026-01-02T03:04:05.678Z', pid: 1, msg: 'gone', ...more });

it('puts a line of the log into words, and leaves what is none', () => {
  expect(logLine(line({ level: 40, worker: 'css', n: 2 }), plain)).toBe(
    '2026-01-02 03:04:05.678 warn  css: gone, n=2',
  );
  const end = { job: '0123456789abcdef', worker: 'css', command: 'cargo build', exit: 0 };
  expect(logLine(line({ ...end, ms: { run: 2100 }, bytes: { sent: 5e6 } }), plain)).toBe(
    '2026-01-02 03:04:05.678 info  01234567 css: cargo build: gone, exit=0, run 2.1 s, sent 5.0 MB',
  );
  expect(logLine('half a li', plain)).toBe('half a li');
  expect(logLine(line({ msg: 'a\u001b[2Jb' }), plain)).toContain('a\\x1b[2Jb');
});

it('takes lines by the start of a job, and by a level and what is graver', () => {
  const about = parseLogLine(line({ job: 'abcdef', level: 40 }));
  expect(wanted(about, { job: 'abc', level: 'warn' })).toBe(true);
  expect(wanted(about, { job: 'b' })).toBe(false);
  expect(wanted(about, { level: 'error' })).toBe(false);
  expect(wanted(parseLogLine(line({})), { job: 'abc' })).toBe(false);
  expect(wanted(undefined, {})).toBe(true);
  expect(wanted(undefined, { level: 'info' })).toBe(false);
});
