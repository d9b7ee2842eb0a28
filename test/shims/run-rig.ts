/** Drives a real rch-run over descriptor 3 with the real codec, as the agent does. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encode } from '../../src/protocol/codec.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import {
  MountFlag,
  runMessages,
  SandboxMethod,
  type RunMessage,
  type RunSpec,
} from '../../src/protocol/run.ts';
import { StreamKind } from '../../src/protocol/shim.ts';

const shims = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'shims');
const require = createRequire(import.meta.url);

/** A temporary folder that anybody may enter; the caller removes it. */
export function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rch-run-test-'));
  chmodSync(folder, 0o755);
  return folder;
}

function generateHeader(): void {
  if (existsSync(join(shims, 'protocol.h'))) return;
  const folder = openFolder();
  const script = join(folder, 'header.mjs');
  const { buildSync } = require('esbuild') as typeof import('esbuild');
  buildSync({
    entryPoints: [join(shims, '..', 'scripts', 'protocol-header.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
  });
  execFileSync(process.execPath, [script, join(shims, 'protocol.h')]);
  rmSync(folder, { recursive: true });
}

/**
 * `old`: as on Linux before 5.12, where the kernel knows no mount_setattr; `patient`: waits for what holds its output as
 * long as a loaded machine needs.
 */
const kinds = {
  plain: [],
  sanitized: ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover'],
  old: ['-DRCH_MOUNT_SETATTR=100000'],
  patient: ['-DGRACE_MS=100000'],
} satisfies Record<string, string[]>;

/** Compiles rch-run into `folder` and returns its path. */
export function compileRun(folder: string, kind: keyof typeof kinds): string {
  generateHeader();
  const binary = join(folder, `rch-run-${kind}`);
  const extra = kinds[kind];
  execFileSync('cc', [
    ...['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', ...extra],
    ...['-o', binary, join(shims, 'run.c')],
  ]);
  return binary;
}

export const bytes = (text: string): Buffer => Buffer.from(text);

export type Mount = { source: string; target: string; flags?: number };

/** The lists of a spec that say these mounts. */
export function mounts(
  list: readonly Mount[],
): Pick<RunSpec, 'mountSources' | 'mountTargets' | 'mountFlags'> {
  return {
    mountSources: list.map((mount) => bytes(mount.source)),
    mountTargets: list.map((mount) => bytes(mount.target)),
    mountFlags: list.map((mount) => mount.flags ?? 0),
  };
}

/** The lists of a spec that say these files. */
export function standIns(
  files: Readonly<Record<string, string>>,
): Pick<RunSpec, 'filePaths' | 'fileContents'> {
  return {
    filePaths: Object.keys(files).map(bytes),
    fileContents: Object.values(files).map(bytes),
  };
}

export const readOnly = MountFlag.readOnly;

/** A whole spec: `/bin/sh -c SCRIPT` on pipes, in namespaces, unless `changes` say otherwise. */
export function specOf(script: string, changes: Partial<RunSpec> = {}): RunSpec {
  return {
    type: 'spec',
    method: SandboxMethod.namespaces,
    ...mounts([]),
    hide: ['/home', '/root', '/tmp'].map(bytes),
    ...standIns({
      '/etc/passwd': 'ada:x:1815:1815:Ada:/home/ada:/bin/sh\n',
      '/etc/group': 'adas:x:1815:\n',
    }),
    host: Buffer.alloc(0),
    uid: 1815,
    gid: 1815,
    network: true,
    tool: bytes('/bin/sh'),
    argv: ['sh', '-c', script].map(bytes),
    env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/home/ada', 'LC_ALL=C.UTF-8'].map(bytes),
    cwd: bytes('/'),
    umask: 0o022,
    inKind: StreamKind.devNull,
    outKind: StreamKind.pipe,
    errKind: StreamKind.pipe,
    joined: false,
    rows: 40,
    cols: 100,
    xpixel: 0,
    ypixel: 0,
    termios: Buffer.alloc(0),
    rlimits: Buffer.alloc(0),
    signals: Buffer.alloc(0),
    affinity: [],
    window: 1 << 20,
    catchExec: [],
    ...changes,
  };
}

export type Last = Extract<RunMessage, { type: 'exit' | 'failed' | 'execHere' }>;
type Waiter = { readonly done: () => boolean; readonly resolve: () => void };

export type JobOptions = {
  readonly binary: string;
  /** Sent at once; without it the caller writes to `wire` itself. */
  readonly spec?: RunSpec;
  /** Gives credit for output as it comes; true unless said. */
  readonly credit?: boolean;
  readonly uid?: number;
  /** A command that runs the binary given as its last argument. */
  readonly under?: readonly string[];
};

/** One job of a real rch-run. */
export class RunJob {
  readonly child: ChildProcess;
  readonly wire: Socket;
  readonly messages: RunMessage[] = [];
  readonly stderr: Buffer[] = [];
  last: Last | undefined;
  closed = false;
  #waiters: Waiter[] = [];
  readonly #reader = new FrameReader(runMessages);
  readonly #out: Buffer[][] = [[], [], [], []];
  readonly #credit: boolean;

  constructor(options: JobOptions) {
    this.#credit = options.credit ?? true;
    const [program, ...rest] = [...(options.under ?? []), options.binary];
    this.child = spawn(program, rest, {
      stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    this.child.stderr?.on('data', (chunk: Buffer) => this.stderr.push(chunk));
    this.wire = this.child.stdio[3] as Socket;
    this.wire.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
    this.wire.on('error', () => undefined);
    this.child.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    if (options.spec !== undefined) this.send(options.spec);
  }

  send(message: RunMessage): void {
    this.wire.write(encode(runMessages, message));
  }

  /** All bytes of an output stream so far. */
  out(stream = 1): Buffer {
    return Buffer.concat(this.#out[stream] ?? []);
  }

  text(stream = 1): string {
    return this.out(stream).toString();
  }

  of<T extends RunMessage['type']>(type: T): Extract<RunMessage, { type: T }>[] {
    return this.messages.filter(
      (message): message is Extract<RunMessage, { type: T }> => message.type === type,
    );
  }

  /** Waits until `done` holds; fails when rch-run is gone before. */
  async until(done: () => boolean): Promise<void> {
    if (!done() && !this.closed)
      await new Promise<void>((resolve) => this.#waiters.push({ done, resolve }));
    if (!done()) throw new Error(`rch-run is gone: ${Buffer.concat(this.stderr).toString()}`);
  }

  async first<T extends RunMessage['type']>(
    type: T,
    number = 1,
  ): Promise<Extract<RunMessage, { type: T }>> {
    await this.until(() => this.of(type).length >= number);
    const found = this.of(type)[number - 1];
    if (found === undefined) throw new Error(`no ${type}`);
    return found;
  }

  /** Waits for the end and the end of rch-run itself. */
  async end(): Promise<Last> {
    await this.until(() => this.last !== undefined);
    if (!this.closed) await once(this.child, 'close');
    if (this.last === undefined) throw new Error('no end');
    return this.last;
  }

  /** Waits for rch-run to be gone, whatever it said. */
  async gone(): Promise<void> {
    if (!this.closed) await once(this.child, 'close');
  }

  /** The code of an `exit`; throws with all that is known on any other end. */
  async code(): Promise<number> {
    const last = await this.end();
    if (last.type === 'exit' && last.kind === 0) return last.value;
    const shown = JSON.stringify(last, (_key, value: unknown) =>
      typeof value === 'bigint' ? value.toString() : value,
    );
    throw new Error(`${shown} ${this.text(2)} ${Buffer.concat(this.stderr).toString()}`);
  }

  #take(chunk: Buffer): void {
    const messages = this.#reader.push(Buffer.from(chunk));
    if (!messages.ok) throw new Error(messages.failure.reason);
    for (const message of messages.value) this.#on(message);
    this.#wake();
  }

  #on(message: RunMessage): void {
    if (message.type === 'out') {
      this.#out[message.stream]?.push(Buffer.from(message.data));
      if (this.#credit)
        this.send({ type: 'credit', stream: message.stream, bytes: message.data.length });
      return;
    }
    this.messages.push(message);
    if (message.type === 'exit' || message.type === 'failed' || message.type === 'execHere')
      this.last = message;
  }

  #wake(): void {
    const ready = this.#waiters.filter((waiter) => this.closed || waiter.done());
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const waiter of ready) waiter.resolve();
  }
}

/** Processes on this machine whose environment holds `mark`; the end of a job must leave none. */
export function processesWith(mark: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/environ`).includes(mark);
    } catch {
      return false;
    }
  });
}

/** An environment for specOf that processesWith finds again. */
export function marked(): { mark: string; env: Buffer[] } {
  const mark = `RCH_TEST_MARK=${randomUUID()}`;
  return { mark, env: ['PATH=/usr/local/bin:/usr/bin:/bin', mark].map(bytes) };
}

/** `VmRSS` of a process in KiB. */
export function residentKib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
}
