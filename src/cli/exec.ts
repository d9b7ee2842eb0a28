/**
 * `rch exec -- CMD…`: a command with the shims first on its PATH, whatever this shell's PATH is. On request its output
 * is filtered or marked by line, which changes bytes.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fail, messageOf, type Result } from '../base/result.ts';
import { loadConfig } from '../config/load.ts';
import { LineFilter, type Filter } from './line-filter.ts';
import type { Context } from './report.ts';

/** Shells answer alike: not found, and found but not to be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Signals that reach us alone, not the whole foreground group, are passed on. */
const passed = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const;
/** The terminal sends these to the child too. */
const shared = ['SIGINT', 'SIGQUIT'] as const;

export type ExecOptions = {
  readonly filter: Filter;
  /** Each line begins with the worker that its command runs on. */
  readonly prefix: boolean;
  /** RCH_ variables that the command line asks for; what the environment says stands above them. */
  readonly asked: Readonly<Record<string, string>>;
};

/** A file to which launchers append the worker of each command, or `local`; the last line is the latest. */
class WorkerFile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'rch-exec-'));
  readonly file = join(this.#folder, 'workers');

  constructor() {
    writeFileSync(this.file, '');
    process.once('exit', () => {
      rmSync(this.#folder, { recursive: true, force: true });
    });
  }

  mark(terminal: boolean): Buffer {
    const name = readFileSync(this.file, 'utf8').trimEnd().split('\n').at(-1) ?? '';
    const text = `[${name === '' ? 'local' : name}]`;
    return Buffer.from(terminal ? `\u001b[36m${text}\u001b[0m ` : `${text} `);
  }
}

/** Passes a stream on by lines; settles when all of it is written. */
async function forward(from: Readable, to: NodeJS.WriteStream, filter: LineFilter): Promise<void> {
  await pipeline(from, filter, to, { end: false }).catch(() => undefined);
  await new Promise<void>((resolve) => {
    if (to.writable)
      to.write('', () => {
        resolve();
      });
    else resolve();
  });
}

/** Ends as the command ended: with its code, or of its signal. */
function endAs(code: number | null, signal: NodeJS.Signals | null): void {
  if (signal === null) process.exit(code ?? 0);
  for (const name of [...passed, ...shared]) process.removeAllListeners(name);
  process.kill(process.pid, signal);
  // A signal that does not end us (its default is to be ignored) is told as a shell would.
  setTimeout(() => process.exit(128 + constants.signals[signal]), 1000);
}

/** What forwards the child's output, where it is not the caller's own. */
function forwarding(
  child: ChildProcess,
  filter: Filter,
  workers: WorkerFile | undefined,
): Promise<void>[] {
  const pairs = [
    { from: child.stdout, to: process.stdout },
    { from: child.stderr, to: process.stderr },
  ];
  const nothing = Buffer.alloc(0);
  return pairs.flatMap(({ from, to }) => {
    const before = (): Buffer => workers?.mark(to.isTTY) ?? nothing;
    return from === null ? [] : [forward(from, to, new LineFilter(filter, before))];
  });
}

/** A worker that the command line names and nobody knows. */
function unknownWorker({ layout, env }: Context, asked: ExecOptions['asked']): string | undefined {
  const named = [asked['RCH_WORKER'] ?? '', ...(asked['RCH_WORKERS'] ?? '').split(',')];
  const config = loadConfig(layout, env);
  // A configuration that cannot be read keeps the command here, and says so.
  if (!config.ok) return undefined;
  const known = new Set(config.value.config.workers.map(({ id }) => id));
  return named.map((each) => each.trim()).find((each) => each !== '' && !known.has(each));
}

/** As shells end, and say it. `why`: ENOENT, or words. */
function notRun(program: string, why: string): Result<never> {
  const missing = why === 'ENOENT';
  process.exitCode = missing ? NOT_FOUND : NOT_EXECUTABLE;
  return missing
    ? fail(`${program}: command not found`, 'give a program that is on PATH, or its path')
    : fail(`${program}: ${why}`);
}

/** Comes back only when the command could not be run. */
export async function exec(
  context: Context,
  argv: readonly string[],
  options: ExecOptions,
): Promise<Result<never>> {
  const { layout, env } = context;
  const [program, ...rest] = argv;
  if (program === undefined) return fail('there is no command to run', 'rch exec -- make -j8');
  const unknown = unknownWorker(context, options.asked);
  if (unknown !== undefined) return fail(`there is no worker ${unknown}`, 'rch workers list');
  const PATH = `${layout.shims}:${env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'}`;
  const workers = options.prefix ? new WorkerFile() : undefined;
  const told = workers === undefined ? {} : { RCH_WORKER_FILE: workers.file };
  const alters = options.prefix || options.filter !== 'all';
  const stdio: StdioOptions = alters ? ['inherit', 'pipe', 'pipe'] : 'inherit';
  if (program === '') return notRun("''", 'ENOENT');
  let child: ChildProcess;
  try {
    child = spawn(program, rest, { stdio, env: { ...options.asked, ...env, ...told, PATH } });
  } catch (thrown) {
    // What is not told as an event: arguments that are too long for execve(2).
    return notRun(program, messageOf(thrown));
  }
  const written = Promise.all(forwarding(child, options.filter, workers));
  for (const signal of passed) process.on(signal, () => child.kill(signal));
  for (const signal of shared) process.on(signal, () => undefined);
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      resolve(notRun(program, error.code === 'ENOENT' ? error.code : error.message));
    });
    child.once('exit', (code, signal) => {
      void written.then(() => {
        endAs(code, signal);
      });
    });
  });
}
