import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { lineText, parseLine, quoted, type JournalLine } from '../../../daemon/journal/record.ts';

test('a recorded command reads back in a shell word for word', () => {
  const argv = ['printf', '%s\\0', 'plain', 'a b', "it's", '$HOME', '', 'new\nline', '--x=1,2'];
  const out = execFileSync('/bin/sh', ['-c', quoted(argv)], { encoding: 'utf8' });
  expect(out.split('\0').slice(0, -1)).toEqual(argv.slice(2));
});

test('lines of this version and of the one before are read, later ones are not', () => {
  const line: JournalLine = {
    id: '1'.repeat(32),
    command: 'make',
    argv: ['make'],
    cwd: '/p',
    decision: 'remote',
    reason: 'r',
    worker: 'css',
    exit: 0,
    signal: null,
    phases: {},
    bytes: { sent: 0, received: 0, output: 0 },
    startedAt: '2026-01-01T00:00:00.000Z',
    tool: 'make',
    conflicts: [],
    details: null,
    project: '/p',
    kind: 'make',
    ended: true,
  };
  expect(JSON.parse(lineText(line))).toMatchObject({ v: 2 });
  expect(parseLine(lineText(line))).toEqual(line);
  expect(parseLine(JSON.stringify(line))).toEqual(line);
  expect(parseLine(JSON.stringify({ ...line, v: 3 }))).toBeUndefined();
  expect(parseLine(lineText(line).slice(0, -5))).toBeUndefined();
});
