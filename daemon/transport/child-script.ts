/** A script whose stdio is that of a child process of ours: system ssh, docker exec, srun, or a local shell. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { finished } from 'node:stream';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { tailOf } from './tail.ts';
import type { RemoteScript, ScriptEnd } from './transport.ts';
import { WorkerStream } from './worker-stream.ts';

/** For the end of stderr after that of the process, ms. */
const LAST_WORDS_MS = 500;
/** A child whose stream was closed ends by itself; after this, ms, it is killed. */
const GRACE_MS = 2000;

export type ChildOptions = { readonly env?: NodeJS.ProcessEnv };

function endOf(child: ChildProcessWithoutNullStreams, stream: WorkerStream): Promise<ScriptEnd> {
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      const end = { code: code ?? undefined, signal: signal ?? undefined };
      // What it said last may still lie in the pipe; a process it left behind may hold the pipe for ever.
      const timer = setTimeout(resolve, LAST_WORDS_MS, end);
      finished(child.stderr, () => {
        clearTimeout(timer);
        resolve(end);
      });
    });
    child.on('close', () => {
      stream.finish(true);
    });
  });
}

/** Closes the child's stdin, then ends it with growing force; its own stdout is no longer read. */
function end(child: ChildProcessWithoutNullStreams): void {
  child.stdin.end();
  child.stdout.destroy();
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  child.once('exit', () => {
    clearTimeout(timer);
  });
}

/** Starts `argv`; fails when there is no such program. */
export function childScript(
  argv: readonly string[],
  options: ChildOptions = {},
): Promise<Result<RemoteScript>> {
  const [program, ...rest] = argv;
  if (program === undefined) return Promise.resolve(fail('the command of this worker is empty'));
  return new Promise((resolve) => {
    const child = spawn(program, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'there is no such program' : error.message;
      resolve(fail(`${program} cannot be started: ${why}`));
    });
    child.on('spawn', () => {
      const stream = new WorkerStream({
        source: child.stdout,
        sink: child.stdin,
        close: () => {
          end(child);
        },
      });
      resolve(ok({ stream, ended: endOf(child, stream), stderr: tailOf(child.stderr) }));
    });
  });
}
