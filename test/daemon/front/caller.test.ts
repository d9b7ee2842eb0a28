import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { processStat } from '../../../src/base/processes.ts';
import { callerOf } from '../../../daemon/front/caller.ts';

test('RCH_CALLER names the caller, whoever it runs below', () => {
  expect(callerOf(process.pid, 'nightly')).toEqual({ key: 'named nightly', name: 'nightly' });
  expect(callerOf(1, 'nightly').key).toBe('named nightly');
});

test('without it all processes of a session are one caller, and another session is another', async () => {
  const inside = spawn('sleep', ['600'], { stdio: 'ignore' });
  const outside = spawn('sleep', ['600'], { stdio: 'ignore', detached: true });
  await Promise.all([once(inside, 'spawn'), once(outside, 'spawn')]);
  const own = callerOf(process.pid, undefined);
  expect(callerOf(inside.pid ?? 0, undefined)).toEqual(own);
  const other = callerOf(outside.pid ?? 0, undefined);
  // Whoever has a terminal above it belongs to that, detached or not.
  if (processStat(process.pid)?.terminal === true) expect(other).toEqual(own);
  else {
    expect(other.key).not.toBe(own.key);
    expect(other.name).toBe(`sleep[${outside.pid ?? 0}]`);
  }
  inside.kill();
  outside.kill();
  await Promise.all([once(inside, 'exit'), once(outside, 'exit')]);
});

test('a terminal within a terminal belongs to the outer one', async () => {
  const script = 'sleep 600 & echo $!; wait';
  const outer = spawn('script', ['-qec', `script -qec '${script}' /dev/null`, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const [line] = (await once(createInterface({ input: outer.stdout }), 'line')) as [string];
  const inner = Number(/\d+/.exec(line)?.[0]);
  const caller = callerOf(inner, undefined);
  const own = processStat(inner)?.session ?? 0;
  expect(caller.key).not.toContain(`session ${own} `);
  expect(callerOf(processStat(own)?.ppid ?? 0, undefined)).toEqual(caller);
  process.kill(inner);
  await once(outer, 'close');
});
