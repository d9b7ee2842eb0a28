import { expect, it } from 'vitest';
import { logLine } from '../../src/cli/logs.ts';

it('puts a line of the log into words, and leaves what is no JSON', () => {
  const line = JSON.stringify({
    level: 40,
    time: 0,
    pid: 1,
    hostname: 'h',
    worker: 'css',
    n: 2,
    msg: 'gone',
  });
  expect(logLine(line)).toBe('1970-01-01T00:00:00.000Z warn gone worker=css n=2');
  expect(logLine('half a li')).toBe('half a li');
});
