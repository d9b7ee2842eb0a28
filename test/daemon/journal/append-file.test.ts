import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppendFile } from '../../../daemon/journal/append-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-journal-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('lines arrive in order, in a file that is ours alone', async () => {
  const path = join(folder, 'deep', 'file');
  const file = new AppendFile(path, {
    limit: 1e6,
    onFailure: (reason) => {
      expect(reason).toBe('');
    },
  });
  const lines = Array.from({ length: 1000 }, (_, at) => `line ${at}`);
  for (const line of lines) file.append(line);
  await file.close();
  expect(readFileSync(path, 'utf8')).toBe(lines.join('\n') + '\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a file at its bound becomes FILE.1, and the one before goes', async () => {
  const path = join(folder, 'file');
  const file = new AppendFile(path, {
    limit: 100,
    onFailure: (reason) => {
      expect(reason).toBe('');
    },
  });
  for (const letter of ['a', 'b', 'c']) {
    file.append(letter.repeat(80));
    await file.flush();
  }
  await file.close();
  expect(readFileSync(path, 'utf8')).toBe('c'.repeat(80) + '\n');
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('b'.repeat(80) + '\n');
});

test('a disk that does not take lines is named once, and the lines after it is mended arrive', async () => {
  const path = join(folder, 'no', 'file');
  writeFileSync(join(folder, 'no'), '');
  const failures: string[] = [];
  const file = new AppendFile(path, { limit: 1e6, onFailure: (reason) => failures.push(reason) });
  file.append('one');
  await file.flush();
  file.append('two');
  await file.flush();
  expect(failures).toHaveLength(1);
  expect(file.trouble).toContain('no/file');
  rmSync(join(folder, 'no'));
  mkdirSync(join(folder, 'no'));
  file.append('three');
  await file.close();
  expect(readFileSync(path, 'utf8')).toBe('three\n');
  expect(file.trouble).toBe('');
});
