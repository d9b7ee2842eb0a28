/** What installs packages waits for another apt-get, whichever lock that one holds. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let bin: string;
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'rch-apt-'));
});
afterEach(() => {
  rmSync(bin, { recursive: true, force: true });
});

/** Runs scripts/apt with an apt-get that notes its calls, and the first time ends as `first` says. */
function apt(first: string): ReturnType<typeof spawnSync> & { readonly calls: string[] } {
  const calls = join(bin, 'calls');
  writeFileSync(
    join(bin, 'apt-get'),
    `#!/bin/sh\nnew() { [ ! -e ${calls}.once ] && : >${calls}.once; }\necho "$*" >>${calls}\nif new; then ${first}; fi\necho done\n`,
    { mode: 0o755 },
  );
  const ran = spawnSync(join('scripts', 'apt'), ['install', '-y', 'hello'], {
    env: { PATH: `${bin}:/usr/bin:/bin` },
    encoding: 'utf8',
  });
  return { ...ran, calls: readFileSync(calls, 'utf8').trim().split('\n') };
}

it('waits where another one holds a lock', () => {
  const lock = 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)';
  const ran = apt(`echo '${lock}' >&2; exit 100`);
  expect(ran).toMatchObject({ status: 0, stdout: 'done\n' });
  expect(ran.stderr).toBe('another apt-get is at work; waiting for it\n');
  const call = '-q -o DPkg::Lock::Timeout=120 install -y hello';
  expect(ran.calls).toEqual([call, call]);
});

it('fails at once, with its words, where something else is wrong', () => {
  const ran = apt("echo 'E: Unable to locate package hello' >&2; exit 100");
  expect(ran).toMatchObject({ status: 1, stderr: 'E: Unable to locate package hello\n' });
  expect(ran.calls).toHaveLength(1);
});
