/** Failures in words on standard error, and what an exception that reached the top means to whoever called. */
import type { CommanderError } from 'commander';
import { createColors } from 'picocolors';
import { fail, messageOf, type Failure } from '../base/result.ts';
import type { Context } from './report.ts';

/** NO_COLOR (no-color.org), FORCE_COLOR; else colours on a terminal. `isTTY`: undefined is none. */
export function wantsColor(env: Context['env'], { isTTY }: { readonly isTTY?: boolean }): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return env['FORCE_COLOR'] !== '0';
  // Never undefined: picocolors would then decide, and colours whatever a CI reads.
  return isTTY === true && env['TERM'] !== 'dumb';
}

/** Where the output is read as JSON, it is there too. */
export function failureJson({ reason, next }: Failure): string {
  return `${JSON.stringify({ error: { reason, next } }, null, 2)}\n`;
}

/** What commander says of a command line: `error: unknown option '--x'`. */
export function misuseOf({ code, message }: CommanderError): Failure {
  const reason =
    code === 'commander.help'
      ? 'a command is missing'
      : message.replace(/^error: /, '').replace(/\s+/g, ' ');
  return fail(reason, 'rch help').failure;
}

export function printFailure({ json, env }: Pick<Context, 'json' | 'env'>, failure: Failure): void {
  if (json) process.stdout.write(failureJson(failure));
  const { red } = createColors(wantsColor(env, process.stderr));
  process.stderr.write(`${red('rch:')} ${failure.reason}\n`);
  if (failure.next !== undefined && failure.next !== '')
    process.stderr.write(`     next: ${failure.next}\n`);
}

const full: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Where what was thrown is that the working folder is not there any more. */
export function folderGone(thrown: unknown): (Failure & { readonly next: string }) | undefined {
  const { code, syscall } = (thrown instanceof Error ? thrown : {}) as NodeJS.ErrnoException;
  return code === 'ENOENT' && syscall === 'uv_cwd'
    ? { reason: 'the folder that you are in was removed', next: 'cd to one that is there' }
    : undefined;
}

/** What was thrown, as a failure that says what to do. */
export function failureOf(thrown: unknown): Failure {
  const gone = folderGone(thrown);
  if (gone !== undefined) return gone;
  const { code, syscall } = (thrown instanceof Error ? thrown : {}) as NodeJS.ErrnoException;
  if (syscall === 'write' && full.has(code))
    return fail(
      'what there is to say cannot be written: no space is left there',
      'make room, or send the output elsewhere',
    ).failure;
  return fail(messageOf(thrown), 'the same with -v, which says where it happened').failure;
}
