import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Past } from '../../src/agent/past.ts';

let folder: string;
let path: string;
const logged: string[] = [];
const open = (): Past => new Past(path, (words) => void logged.push(words));
const job = (id: number): string => id.toString(16).padStart(32, '0');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-past-'));
  path = join(folder, 'past');
  logged.length = 0;
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('the last word about a job counts, also for who comes after', () => {
  const past = open();
  past.begun(job(1));
  past.begun(job(2));
  past.never(job(2));
  past.never(job(3));
  for (const each of [past, open()])
    expect([1, 2, 3, 4].map((id) => each.of(job(id)))).toEqual([
      'begun',
      'never',
      'never',
      undefined,
    ]);
  expect(readFileSync(path, 'latin1').split('\n')[1]).toBe(`begun ${job(1)}`);
});

test('a line that was cut spoils no other, and what is not ours is passed over', () => {
  writeFileSync(path, `\nbegun ${job(1)}\nbegun 00\nrubbish\nbeg`);
  open().begun(job(2));
  appendFileSync(path, '\n');
  const past = open();
  expect([1, 2].map((id) => past.of(job(id)))).toEqual(['begun', 'begun']);
  past.left([job(3), 'x', job(2)]);
  expect(past.of(job(3))).toBe('begun');
  expect(past.of('x')).toBeUndefined();
});

test('the file stays small', () => {
  const past = open();
  for (let id = 0; id < 45_000; id++) past.never(job(id));
  expect(statSync(path).size).toBeLessThan(40_000 * 40);
  const later = open();
  expect(later.of(job(44_999))).toBe('never');
  expect(later.of(job(35_001))).toBe('never');
  expect(later.of(job(1))).toBeUndefined();
});

test('a job whose beginning cannot be written down must not begin; that one never will is said all the same', () => {
  rmSync(folder, { recursive: true });
  const past = open();
  expect(() => {
    past.begun(job(1));
  }).toThrow(/ENOENT/);
  expect(past.of(job(1))).toBeUndefined();
  past.never(job(2));
  expect(past.of(job(2))).toBe('never');
  expect(logged).toHaveLength(1);
  mkdirSync(folder);
});
