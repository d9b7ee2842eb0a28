/** Runs a tool that only answers (cargo metadata, dpkg-query), with the caller's environment and a deadline. */
import { spawn } from 'node:child_process';
import type { Request } from '../classify/request.ts';

export type ToolAnswer = {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
};

const MOST_OUTPUT = 64 << 20;

function utf8(raw: string): string {
  return Buffer.from(raw, 'latin1').toString('utf8');
}

/** PATH without the folder of shims. */
export function pathWithoutShims(env: ReadonlyMap<string, string>, shimDir: string): string {
  return (env.get('PATH') ?? '/usr/local/bin:/usr/bin:/bin')
    .split(':')
    .filter((folder) => folder !== shimDir)
    .join(':');
}

/** The caller's environment, in which nothing is downloaded, coloured or intercepted. */
export function askingEnvironment(request: Request): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of request.env) env[utf8(name)] = utf8(value);
  return {
    ...env,
    PATH: utf8(pathWithoutShims(request.env, request.shimDir)),
    RCH_BYPASS: '1',
    RUSTUP_AUTO_INSTALL: '0',
    CARGO_CACHE_RUSTC_INFO: '0',
    CARGO_TERM_COLOR: 'never',
    CARGO_TERM_QUIET: 'false',
    // cargo asks rustc for its version; a wrapper need not start a server for that.
    RUSTC_WRAPPER: '',
    RUSTC_WORKSPACE_WRAPPER: '',
    MAKEFLAGS: '',
    CARGO_MAKEFLAGS: '',
  };
}

export type ToolRun = {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
};

/** What the tool said; undefined when it could not be run, was killed, or did not end in time. */
export function runTool(run: ToolRun): Promise<ToolAnswer | undefined> {
  const [program, ...rest] = run.argv;
  if (program === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const child = spawn(utf8(program), rest.map(utf8), {
      cwd: utf8(run.cwd),
      env: run.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: run.deadlineMs,
      killSignal: 'SIGKILL',
    });
    const parts: { out: Buffer[]; error: Buffer[]; size: number } = { out: [], error: [], size: 0 };
    const collect = (into: Buffer[]) => (data: Buffer) => {
      parts.size += data.length;
      if (parts.size <= MOST_OUTPUT) into.push(data);
    };
    child.stdout.on('data', collect(parts.out));
    child.stderr.on('data', collect(parts.error));
    child.on('error', () => {
      resolve(undefined);
    });
    child.on('close', (exit) => {
      if (exit === null || parts.size > MOST_OUTPUT) resolve(undefined);
      else
        resolve({
          exit,
          stdout: Buffer.concat(parts.out).toString('utf8'),
          stderr: Buffer.concat(parts.error).toString('utf8'),
        });
    });
  });
}
