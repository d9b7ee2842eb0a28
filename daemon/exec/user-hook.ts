/**
 * Runs a hook of the user's: a shell command here, around a command that runs on a worker. What it says is kept from the
 * caller's streams; how it ends changes nothing for the build. It has, besides the caller's environment:
 * ```
 * RCH_HOOK     pre_transfer, post_compile or on_fallback
 * RCH_JOB      the id of the job
 * RCH_COMMAND  the command, quoted for a shell; its first 64 KiB
 * RCH_CWD      its working folder
 * RCH_PROJECT  the project's folder, which is the hook's working folder
 * RCH_WORKER   the worker (not for on_fallback)
 * RCH_EXIT     how the command ended there: its code, or SIGn (post_compile)
 * RCH_REASON   why it runs here (on_fallback)
 * RCH_BYPASS   1: what the hook calls runs here, without rch
 * ```
 */
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { messageOf } from '../../src/base/result.ts';

export type HookName = 'pre_transfer' | 'post_compile' | 'on_fallback';

export type HookCall = {
  readonly hook: HookName;
  /** For /bin/sh. */
  readonly command: string;
  /** Latin1, as are the values of `env` and `facts`. */
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  /** RCH_ variables by the rest of their names. */
  readonly facts: Readonly<Record<string, string>>;
  /** ms */
  readonly limit: number;
  readonly signal: AbortSignal;
};

/** Bytes of a fact, at most: the kernel takes no string of an environment above 128 KiB. */
const MOST_FACT = 64 * 1024;
/** Bytes of the end of its output that are kept for the report of a failure. */
const TAIL = 400;
/** ms between SIGTERM and SIGKILL. */
const GRACE = 1000;

const bytes = (raw: string): string => Buffer.from(raw, 'latin1').toString('utf8');

function environmentOf({ hook, env, facts }: HookCall): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, value] of env) if (!name.startsWith('RCH_')) given[bytes(name)] = bytes(value);
  for (const [name, value] of Object.entries(facts))
    given[`RCH_${name}`] = bytes(value.slice(0, MOST_FACT));
  return { ...given, RCH_HOOK: hook, RCH_BYPASS: '1' };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

/** Ends the hook and all it started in its group. */
function end(child: ChildProcess): NodeJS.Timeout {
  killGroup(child, 'SIGTERM');
  return setTimeout(() => {
    killGroup(child, 'SIGKILL');
  }, GRACE);
}

type Started = ChildProcessByStdio<null, Readable, Readable>;

const start = (call: HookCall): Started =>
  spawn('/bin/sh', ['-c', call.command], {
    cwd: bytes(call.cwd),
    env: environmentOf(call),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });

/** Resolves when the hook has ended: to '' when it went well, else to what went wrong. */
export function runHook(call: HookCall): Promise<string> {
  return new Promise((resolve) => {
    let tail = Buffer.alloc(0);
    let cut = '';
    let mercy: NodeJS.Timeout | undefined;
    let child: Started;
    try {
      child = start(call);
    } catch (thrown) {
      // What the kernel refuses at once (E2BIG) is thrown.
      resolve(`cannot be run: ${messageOf(thrown)}`);
      return;
    }
    const stop = (why: string): void => {
      cut ||= why;
      mercy ??= end(child);
    };
    const limit = setTimeout(() => {
      stop(`took longer than ${call.limit / 1000} s (hooks.timeout_sec)`);
    }, call.limit);
    const abort = (): void => {
      stop('was ended, as the command is over');
    };
    call.signal.addEventListener('abort', abort);
    if (call.signal.aborted) abort();
    const done = (trouble: string): void => {
      clearTimeout(limit);
      clearTimeout(mercy);
      // Of a group that was to end, what did not hear the first signal.
      if (cut !== '') killGroup(child, 'SIGKILL');
      call.signal.removeEventListener('abort', abort);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve(trouble);
    };
    const keep = (chunk: Buffer): void => {
      tail = Buffer.concat([tail, chunk]).subarray(-TAIL);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => {
      done(`cannot be run: ${messageOf(error)}`);
    });
    child.once('exit', (code, signal) => {
      // Its last words may still be on the way; what it left running does not hold them up.
      setImmediate(() => {
        if (cut === '' && code === 0) done('');
        else {
          const how = cut === '' ? (signal ?? `exit ${code ?? 0}`) : cut;
          const said = tail.toString('utf8').trim();
          done(said === '' ? how : `${how}: ${said}`);
        }
      });
    });
  });
}
