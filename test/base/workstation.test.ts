import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { layoutFor, type Layout } from '../../src/base/layout.ts';
import { workstationId } from '../../src/base/workstation.ts';

let home: string;
let layout: Layout;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rch-workstation-'));
  layout = layoutFor({ HOME: home }, join(home, 'lib'));
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

const file = (): string => join(layout.state, 'workstation');

test('it is made once', () => {
  const id = workstationId(layout);
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(workstationId(layout)).toBe(id);
  expect(readdirSync(layout.state)).toEqual(['workstation']);
});

test.each([
  ['was cut off as it was written', ''],
  ['holds something else', Buffer.from([0, 255, 17])],
  ['is a folder', undefined],
])('one that %s is made anew', (_, content) => {
  mkdirSync(layout.state, { recursive: true });
  if (content === undefined) mkdirSync(file());
  else writeFileSync(file(), content);
  const id = workstationId(layout);
  expect(readFileSync(file(), 'utf8')).toBe(id);
  expect(workstationId(layout)).toBe(id);
});
