/** Processes that stand for other machines get what the workstation leaves of the CPU. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Where the kernel's CPU controller is: of cgroups(7) version 1 and 2. */
const hierarchies = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup'];

/** A group stays until the last of its processes is reaped; one that stays longer harms nobody. */
async function removed(group: string): Promise<void> {
  for (let left = 50; left > 0; left--) {
    try {
      rmdirSync(group);
      return;
    } catch {
      await delay(100);
    }
  }
}

/**
 * Puts processes and all that they will start behind all others; the function that comes back is for when they ended.
 * A group, not nice(2): every ssh session is one of its own, and nice(2) counts within a session only where the kernel
 * groups by session (sched(7), autogroup).
 */
export async function putBehind(pids: readonly string[]): Promise<() => Promise<void>> {
  for (const hierarchy of hierarchies) {
    const group = join(hierarchy, `rch-behind-${process.pid}`);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    try {
      if (!existsSync(join(group, 'cpu.idle'))) throw new Error('no CPU controller');
      writeFileSync(join(group, 'cpu.idle'), '1');
      for (const pid of pids) writeFileSync(join(group, 'cgroup.procs'), pid);
      return () => removed(group);
    } catch {
      await removed(group);
    }
  }
  await execute('renice', ['-n', '15', '-p', ...pids]);
  return () => Promise.resolve();
}
