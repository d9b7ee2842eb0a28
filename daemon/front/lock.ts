/** The lock that makes the daemon the only one of its installation. */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { lockDescriptor } from '../../src/base/flock.ts';
import { startTimeOf } from '../../src/base/processes.ts';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';

/** Takes the lock for as long as this process lives, and leaves "PID START\n" in it for who looks. */
export function takeLock(path: string): Result<void> {
  let file: number;
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    file = openSync(path, flags, 0o600);
  } catch (thrown) {
    return fail(`the lock ${path} cannot be opened: ${messageOf(thrown)}`);
  }
  const locked = lockDescriptor(file);
  if (!locked.ok || !locked.value) {
    closeSync(file);
    if (!locked.ok) return locked;
    const holder = readFileSync(path, 'utf8').trim().split(' ')[0] ?? '';
    return fail(`rchd runs already${holder === '' ? '' : ` (process ${holder})`}`);
  }
  // Never removed: a second daemon could lock the removed file, and a third the new one.
  ftruncateSync(file);
  writeSync(file, `${process.pid} ${startTimeOf(process.pid)?.toString() ?? ''}\n`, 0);
  return ok(undefined);
}
