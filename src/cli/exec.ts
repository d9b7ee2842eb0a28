/** `rch exec -- CMD…`: a command with the shims first on its PATH, whatever this shell's PATH is. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fail, type Result } from '../base/result.ts';
import type { Context } from './report.ts';

/** Shells answer alike: not found, and found but not to be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Signals that reach us alone, not the whole foreground group, are passed on. */
const passed = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const;
/** The terminal sends these to the child too. */
const shared = ['SIGINT', 'SIGQUIT'] as const;

/** Ends as the command ended: with its code, or of its signal. Comes back only when it could not be run. */
export async function exec(
  { layout, env }: Context,
  argv: readonly string[],
): Promise<Result<never>> {
  const [program, ...rest] = argv;
  if (program === undefined) return fail('there is no command to run', 'rch exec -- make -j8');
  const PATH = `${layout.shims}:${env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'}`;
  const child = spawn(program, rest, { stdio: 'inherit', env: { ...env, PATH } });
  for (const signal of passed) process.on(signal, () => child.kill(signal));
  for (const signal of shared) process.on(signal, () => undefined);
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      process.exitCode = error.code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE;
      resolve(fail(`${program}: ${error.code === 'ENOENT' ? 'command not found' : error.message}`));
    });
    child.once('exit', (code, signal) => {
      if (signal === null) process.exit(code ?? 0);
      for (const name of [...passed, ...shared]) process.removeAllListeners(name);
      process.kill(process.pid, signal);
      // A signal that does not end us (its default is to be ignored) is told as a shell would.
      setTimeout(() => process.exit(128 + constants.signals[signal]), 1000);
    });
  });
}
