import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Learned } from '../../../daemon/journal/learned.ts';
import { Mandates } from '../../../daemon/journal/mandates.ts';
import { readState, writeState } from '../../../daemon/journal/state-file.ts';

let folder: string;
let complaints: string[];
const complain = (what: string): void => {
  complaints.push(what);
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-state-'));
  complaints = [];
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});
const file = (): string => join(folder, 'x.json');

test('what is written is read again, and bears a version', () => {
  writeState(file(), ['a'], complain);
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ version: 1, data: ['a'] });
  expect(readState(file(), z.array(z.string()), complain)).toEqual(['a']);
  expect(complaints).toEqual([]);
});

test('a file from before there were versions is read', () => {
  const rule = { project: '/p', kind: 'make', reason: 'r', since: '2026-01-01T00:00:00Z' };
  writeFileSync(file(), JSON.stringify([rule]));
  expect(Learned.open(file(), complain).reason('/p', 'make')).toBe('r');
  expect(complaints).toEqual([]);
});

test.each([
  ['is torn', '{"version":1,"data":["a"'],
  ['is of another shape', '{"version":1,"data":{"a":1}}'],
  ['is of a later version', '{"version":99,"data":["a"]}'],
])('a file that %s is set aside, and named', (_, text) => {
  writeFileSync(file(), text);
  expect(readState(file(), z.array(z.string()), complain)).toBeUndefined();
  expect(readFileSync(`${file()}.corrupt`, 'utf8')).toBe(text);
  expect(existsSync(file())).toBe(false);
  expect(complaints).toHaveLength(1);
  expect(complaints[0]).toContain(`${file()}.corrupt`);
  // And the next one can be written.
  writeState(file(), ['b'], complain);
  expect(readState(file(), z.array(z.string()), complain)).toEqual(['b']);
});

test('what the user wants of workers outlives the daemon, and is not taken for done when it cannot be written', () => {
  const mandates = Mandates.open(file(), complain);
  expect(mandates.of('css')).toBe('enabled');
  expect(mandates.set('css', 'draining').ok).toBe(true);
  expect(Mandates.open(file(), complain).of('css')).toBe('draining');
  expect(mandates.set('css', 'enabled').ok).toBe(true);
  expect(Mandates.open(file(), complain).of('css')).toBe('enabled');
  const nowhere = Mandates.open(join(file(), 'below', 'a', 'file'), complain);
  expect(nowhere.set('css', 'disabled').ok).toBe(false);
  expect(nowhere.of('css')).toBe('enabled');
  expect(readdirSync(folder)).toEqual(['x.json']);
});
