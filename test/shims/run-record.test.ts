/** `rch-run record` under sanitizers: each mixture of streams, and each kind of end. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileRun, openFolder } from './run-rig.ts';

let folder = '';
let binary = '';
beforeAll(() => {
  folder = openFolder();
  binary = compileRun(folder, 'sanitized');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

type Kept = { code: number | null; signal: string | null; out: string; err: string; said: string };
function record(letters: string, line: string, input: Buffer | string = ''): Kept {
  const [out, err] = [join(folder, 'out'), join(folder, 'err')];
  writeFileSync(out, 'old, and longer than what comes');
  const done = spawnSync(binary, ['record', letters, out, err, '/bin/sh', '-c', line], {
    input,
    encoding: 'latin1',
  });
  const read = (file: string): string => readFileSync(file, 'latin1');
  return {
    code: done.status,
    signal: done.signal,
    out: read(out),
    err: read(err),
    said: done.stderr,
  };
}

const kinds =
  'for fd in 0 1 2; do test -t $fd && printf t >&3 || printf - >&3; done; echo out; echo err >&2';
it.each([
  ['ipp', '---', 'out\n', 'err\n'],
  ['iff', '---', 'out\n', 'err\n'],
  ['ip=', '---', 'out\nerr\n', ''],
  ['ttt', 'ttt', 'out\r\nerr\r\n', ''],
  ['itt', '-tt', 'out\r\nerr\r\n', ''],
  ['itp', '-t-', 'out\r\n', 'err\n'],
  ['ipt', '--t', 'out\n', 'err\r\n'],
])('keeps what comes on streams %s', (letters, terminals, out, err) => {
  const kept = record(letters, `exec 3>${folder}/kinds; ${kinds}`);
  expect(readFileSync(join(folder, 'kinds'), 'utf8')).toBe(terminals);
  expect(kept).toEqual({ code: 0, signal: null, out, err, said: '' });
});

it('hands its standard input on, and keeps bytes as they are', () => {
  const bytes = '\u0000\u00ff\u00fe\r\n'.repeat(50_000);
  expect(record('ipp', 'cat', Buffer.from(bytes, 'latin1')).out === bytes).toBe(true);
  expect(record('iff', "printf '\\000\\377\\r\\n'").out).toBe('\u0000\u00ff\r\n');
});

it('ends as the command ends', () => {
  expect(record('ipp', 'exit 42').code).toBe(42);
  expect(record('ttt', 'kill -TERM $$').signal).toBe('SIGTERM');
  expect(record('ipp', 'ulimit -c 0; kill -SEGV $$').signal).toBe('SIGSEGV');
});

it('gives the terminal a size and makes it the controlling one', () => {
  expect(record('ttt', 'stty size < /dev/tty').out).toBe('40 100\r\n');
});

it('refuses letters that mean nothing', () => {
  expect(record('ixx', 'true')).toMatchObject({ code: 2 });
  expect(record('ip', 'true')).toMatchObject({ code: 2 });
});
