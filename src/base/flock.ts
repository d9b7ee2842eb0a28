/** flock(2), which Node has no call for. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, ok, type Result } from './result.ts';

/** How long another process is waited for, and between two tries, ms. */
const PATIENCE = 10_000;
const APART = 50;

/**
 * Locks a descriptor of ours, unless somebody else has the lock: then false. The lock belongs to the open file
 * description, so a child that inherits the descriptor takes it for us, and it stays with us when the child ends. The
 * kernel frees it when the descriptor is closed, or this process dies, however it dies. flock(1) is part of util-linux
 * and of busybox.
 */
export function lockDescriptor(file: number): Result<boolean> {
  const child = spawnSync('flock', ['-x', '-n', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
    env: { PATH: '/usr/bin:/bin:/usr/local/bin:/sbin:/usr/sbin' },
    timeout: 10_000,
  });
  if (child.error !== undefined)
    return fail(`cannot run flock: ${child.error.message}`, 'install util-linux');
  return ok(child.status === 0);
}

/**
 * Runs `work` while no other process does so with the same folder, so that of two that change a file the second one sees
 * what the first wrote. Where the folder cannot be locked, or is locked for too long, it runs all the same.
 */
export async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  let file: number;
  try {
    file = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return work();
  }
  try {
    const till = performance.now() + PATIENCE;
    for (;;) {
      const locked = lockDescriptor(file);
      if (!locked.ok || locked.value || performance.now() > till) return await work();
      await sleep(APART);
    }
  } finally {
    closeSync(file);
  }
}
