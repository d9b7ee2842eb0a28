/** What a program says when asked: for probing a machine, where anything may be missing, broken or hung. */
import { spawn } from 'node:child_process';

/** Longest any one probe may take, in ms. */
export const PROBE_DEADLINE = 5000;

/** Output kept of one probe, in bytes; `rpm -qa` of a large system stays below 2 MiB. */
const MOST_OUTPUT = 16 * 1024 * 1024;

export type Answer = {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
};

export type AnswerOptions = {
  readonly path: string;
  readonly deadline?: number;
  /** In place of this process's environment and all that is set for probes. */
  readonly env?: Readonly<Record<string, string>>;
};

/** The environment of a probe: this process's own, in the C locale, and with rch's shims out of the way. */
function probeEnvironment(path: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: path,
    LC_ALL: 'C',
    LANGUAGE: '',
    RCH_BYPASS: '1',
    // rustup must not download a toolchain because its proxy was asked for a version.
    RUSTUP_AUTO_INSTALL: '0',
  };
}

/** Ends the whole group of a probe: a wrapper script may have started others. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/**
 * Runs `argv` (its first is a path, or a name to be found on `options.path`) with stdin on /dev/null, in `/`.
 * Undefined when it cannot be run, does not end in time or dies of a signal. Never throws.
 */
export function ask(argv: readonly string[], options: AnswerOptions): Promise<Answer | undefined> {
  const [program, ...rest] = argv;
  if (program === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const child = spawn(program, rest, {
      cwd: '/',
      env: options.env ?? probeEnvironment(options.path),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const parts: { out: Buffer[]; err: Buffer[]; size: number } = { out: [], err: [], size: 0 };
    const collect = (into: Buffer[]) => (data: Buffer) => {
      parts.size += data.length;
      if (parts.size <= MOST_OUTPUT) into.push(data);
      else endGroup(child.pid);
    };
    child.stdout.on('data', collect(parts.out));
    child.stderr.on('data', collect(parts.err));
    const timer = setTimeout(() => {
      finish(undefined);
      endGroup(child.pid);
      child.stdout.destroy();
      child.stderr.destroy();
    }, options.deadline ?? PROBE_DEADLINE);
    const finish = (exit: number | null | undefined): void => {
      clearTimeout(timer);
      if (typeof exit !== 'number') resolve(undefined);
      else
        resolve({
          exit,
          stdout: Buffer.concat(parts.out).toString('utf8'),
          stderr: Buffer.concat(parts.err).toString('utf8'),
        });
    };
    child.on('error', () => {
      finish(undefined);
    });
    child.on('close', finish);
  });
}

/** The first line that is not empty. */
export function firstLine(text: string): string {
  return (
    text
      .split('\n')
      .map((line) => line.trim())
      .find((line) => line !== '') ?? ''
  );
}
