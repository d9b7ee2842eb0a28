import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import {
  inheritable,
  parseStat,
  processStat,
  startTimeOf,
  watcherOf,
} from '../../src/base/processes.ts';

/** Fields 3 to 22 of proc_pid_stat(5): state, ppid, then 17 others, then the start time. */
const rest = (state: string): string =>
  `${state} 41 3 17 0 ${Array.from({ length: 14 }, () => '0').join(' ')} 98765 1 2`;

test('a name with spaces and parentheses does not shift the fields', () => {
  expect(parseStat(`7 (a) S 1 (b c) ${rest('S')}`)).toEqual({
    ppid: 41,
    startTime: 98765n,
    zombie: false,
    name: 'a) S 1 (b c',
    session: 17,
    terminal: false,
  });
  expect(parseStat(`7 (x) ${rest('Z')}`)?.zombie).toBe(true);
  expect(parseStat('7 (cut) S 1')).toBeUndefined();
});

test('this process is alive, and one that cannot be is not', () => {
  expect(processStat(process.pid)?.ppid).toBe(process.ppid);
  expect(startTimeOf(process.pid)).toBeTypeOf('bigint');
  expect(startTimeOf(2 ** 22 + 1)).toBeUndefined();
});

test('a descriptor is handed on unless it is closed on exec', async () => {
  const fd = openSync('/dev/null', 'r');
  // Node opens with O_CLOEXEC.
  expect(inheritable(process.pid, String(fd))).toBe(false);
  const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  closeSync(fd);
  await once(child, 'spawn');
  expect(inheritable(child.pid ?? 0, '3')).toBe(true);
  for (const none of ['4', 'x', '../3']) expect(inheritable(child.pid ?? 0, none)).toBe(false);
  child.kill('SIGKILL');
});

test('a tracer is seen, and nobody where there is none', async () => {
  expect(watcherOf(process.pid, process.ppid)).toBeUndefined();
  const traced = 'echo $$; exec sleep 600';
  const strace = spawn('strace', [
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    'trace=none',
    'sh',
    '-c',
    traced,
  ]);
  const pid = Number(String((await once(strace.stdout, 'data'))[0]));
  expect(watcherOf(pid, strace.pid ?? 0)).toBe('strace');
  process.kill(pid, 'SIGKILL');
  await once(strace, 'close');
});
