import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { JobFile } from '../../../daemon/journal/job-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rch-job-file-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12k', 'tmpfs', folder]);
});
afterEach(() => {
  execFileSync('umount', ['-l', folder]);
  rmSync(folder, { recursive: true });
});

test.skipIf(process.getuid?.() !== 0)(
  'a line that finds no room is not there in part, and is told as not written',
  () => {
    const complaints: string[] = [];
    const file = JobFile.of(folder, 'a', (what) => void complaints.push(what));
    const line = (word: string): Parameters<typeof file.append>[0] => ({
      type: 'kept',
      reason: word.repeat(3000),
      since: '',
    });
    const written = ['1', '2', '3', '4', '5'].filter((word) => file.append(line(word)));
    expect(written.length).toBeGreaterThan(1);
    expect(written.length).toBeLessThan(5);
    expect(complaints[0]).toMatch(/disk is full|ENOSPC/);
    expect(file.trouble).toMatch(/disk is full|ENOSPC/);
    execFileSync('mount', ['-o', 'remount,size=100k', folder]);
    expect(file.append(line('x'))).toBe(true);
    const lines = readFileSync(join(folder, 'a.jsonl'), 'utf8').trimEnd().split('\n');
    const words = lines.map((each) => (JSON.parse(each) as { reason: string }).reason[0]);
    expect(words).toEqual([...written, 'x']);
  },
);
