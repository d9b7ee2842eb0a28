/** A home with the launcher in it, a scripted front and link that speak the real codec, and fake tools. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '../../src/protocol/codec.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import { shimMessages, type Ask, type ShimMessage } from '../../src/protocol/shim.ts';
import { compile, type Variant } from './build.ts';
import { clear } from '../rig/processes.ts';

type Named<Name extends ShimMessage['type']> = Extract<ShimMessage, { type: Name }>;

/** One connection of a launcher, with its messages in a queue. */
export class Peer {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #reader = new FrameReader(shimMessages);
  readonly #queue: ShimMessage[] = [];
  #wake: (() => void)[] = [];
  #gone = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#gone = true;
        this.#stir();
        resolve();
      });
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const messages = this.#reader.push(Buffer.from(chunk));
      if (!messages.ok) throw new Error(messages.failure.reason);
      this.#queue.push(...messages.value);
      this.#stir();
    });
  }

  #stir(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }

  send(...messages: readonly ShimMessage[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => encode(shimMessages, message))));
  }

  /** The next message that is of one of these types; others before it are dropped. */
  async next<Name extends ShimMessage['type']>(...types: readonly Name[]): Promise<Named<Name>> {
    for (;;) {
      const message = this.#queue.shift();
      if (message === undefined) {
        if (this.#gone) throw new Error(`the launcher closed before ${types.join(', ')}`);
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      } else if ((types as readonly string[]).includes(message.type)) {
        return message as Named<Name>;
      }
    }
  }

  /** The messages that came and were not taken yet. */
  get pending(): readonly ShimMessage[] {
    return this.#queue;
  }

  /** Everything the launcher says until it closes. */
  async rest(): Promise<ShimMessage[]> {
    await this.closed;
    return this.#queue.splice(0);
  }
}

/** A listening socket whose connections are taken one by one. */
export class Listener {
  readonly #server: Server;
  readonly #peers: Peer[] = [];
  readonly #all: Peer[] = [];
  #wake: (() => void) | undefined;
  count = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      const peer = new Peer(socket);
      this.count++;
      this.#peers.push(peer);
      this.#all.push(peer);
      this.#wake?.();
    });
  }

  static async at(path: string): Promise<Listener> {
    const server = createServer();
    const listener = new Listener(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return listener;
  }

  async accept(): Promise<Peer> {
    for (;;) {
      const peer = this.#peers.shift();
      if (peer !== undefined) return peer;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async close(): Promise<void> {
    for (const peer of this.#all) peer.socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

export type End = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
};

/** A process under test, its output collected. */
export class Run {
  readonly child: ChildProcess;
  readonly #out: Buffer[] = [];
  readonly #err: Buffer[] = [];
  readonly end: Promise<End>;
  #wake: (() => void)[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      into.push(chunk);
      for (const wake of this.#wake.splice(0)) wake();
    };
    child.stdout?.on('data', collect(this.#out));
    child.stderr?.on('data', collect(this.#err));
    child.stdin?.on('error', () => undefined);
    this.end = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        for (const wake of this.#wake.splice(0)) wake();
        resolve({ code, signal, stdout: this.stdout, stderr: Buffer.concat(this.#err) });
      });
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('not started');
    return this.child.pid;
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#out);
  }

  /** Waits until standard output holds `text`. */
  async sees(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`ended without ${JSON.stringify(text)}: ${this.stdout.toString()}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }
}

export type RunOptions = {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly input?: Buffer | string;
  readonly stdio?: StdioOptions;
  readonly detached?: boolean;
  readonly argv0?: string;
};

/** Kills a process and all below it. */
function killTree(pid: number): void {
  let children = '';
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    process.kill(pid, 'SIGKILL');
  } catch {
    return;
  }
  for (const child of children.trim().split(' ').filter(Boolean)) killTree(Number(child));
}

export const jobId = Buffer.from('00112233445566778899aabbccddeeff', 'hex');

export class LauncherWorld {
  readonly root: string;
  readonly home: string;
  readonly shims: string;
  readonly bin: string;
  readonly #listeners: Listener[] = [];
  readonly #runs = new Set<Run>();

  constructor(variant: Variant) {
    this.root = mkdtempSync(join(tmpdir(), 'rch-launcher-'));
    this.home = join(this.root, 'home');
    this.shims = join(this.home, 'shims');
    this.bin = join(this.root, 'bin');
    for (const folder of [this.home, join(this.home, 'lib'), this.shims, this.bin])
      mkdirSync(folder);
    mkdirSync(join(this.home, 'run'), { mode: 0o700 });
    copyFileSync(compile('shims/launcher.c', variant), join(this.home, 'lib', 'rch-shim'));
    for (const tool of ['gcc', 'make', 'cargo', 'cc']) this.shim(tool);
    this.tool('gcc', 'echo "real gcc $*"');
    this.tool('make', 'echo "real make $*"');
    this.tool('cargo', 'echo "real cargo $*"');
  }

  shim(name: string): void {
    symlinkSync('../lib/rch-shim', join(this.shims, name));
  }

  /** A real tool: a shell script. */
  tool(name: string, body: string, folder = this.bin): string {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  run(path: string): string {
    return join(this.home, 'run', path);
  }

  get path(): string {
    return `${this.shims}:${this.bin}:${process.env['PATH'] ?? '/usr/bin:/bin'}`;
  }

  /** Starts any program in this world's environment. */
  start(file: string, args: readonly string[], options: RunOptions = {}): Run {
    const env: Record<string, string> = {};
    const wanted: Record<string, string | undefined> = {
      PATH: this.path,
      HOME: this.root,
      ...options.env,
    };
    for (const [name, value] of Object.entries(wanted)) if (value !== undefined) env[name] = value;
    const child = spawn(file, args, {
      env,
      cwd: options.cwd ?? this.root,
      stdio: options.stdio ?? ['pipe', 'pipe', 'pipe'],
      ...(options.detached === true ? { detached: true } : {}),
      ...(options.argv0 === undefined ? {} : { argv0: options.argv0 }),
    });
    if (options.input !== undefined) child.stdin?.end(options.input);
    const run = new Run(child);
    this.#runs.add(run);
    void run.end.then(() => this.#runs.delete(run));
    return run;
  }

  /** Starts a shim. */
  call(tool: string, args: readonly string[], options: RunOptions = {}): Run {
    return this.start(join(this.shims, tool), args, options);
  }

  /** Starts a shell line; `gcc` and its kin are shims there. */
  line(script: string, options: RunOptions = {}): Run {
    return this.start('bash', ['-c', script], options);
  }

  /** Starts a program as the foreground of a terminal of its own. */
  onTerminal(argv: readonly string[], options: RunOptions = {}): Run {
    const onPty = compile('test/shims/on-pty.c', 'plain', ['-lutil']);
    return this.start(onPty, ['24', '80', ...argv], options);
  }

  async listen(name: string): Promise<Listener> {
    const listener = await Listener.at(this.run(name));
    this.#listeners.push(listener);
    return listener;
  }

  async dispose(): Promise<void> {
    for (const run of this.#runs) {
      killTree(run.pid);
      run.child.stdin?.destroy();
      run.child.stdout?.destroy();
      run.child.stderr?.destroy();
      await run.end;
    }
    for (const listener of this.#listeners) await listener.close();
    clear(this.root);
  }
}

/** Takes a launcher's question and says that it came. */
export async function question(front: Listener): Promise<{ peer: Peer; ask: Ask }> {
  const peer = await front.accept();
  const ask = await peer.next('ask');
  peer.send({ type: 'ack' });
  return { peer, ask };
}

/** Answers the next question with `remote` and starts the job on `link`. */
export async function started(
  world: LauncherWorld,
  front: Listener,
  link: Listener,
): Promise<{ peer: Peer; ask: Ask }> {
  const { peer: asker, ask } = await question(front);
  asker.send(remoteTo(world));
  const peer = await link.accept();
  await peer.next('commit');
  peer.send({ type: 'started' });
  return { peer, ask };
}

export function remoteTo(world: LauncherWorld, locks: readonly string[] = []): Named<'remote'> {
  return {
    type: 'remote',
    job: jobId,
    worker: 'w',
    socket: Buffer.from(world.run('link-w.sock')),
    locks: locks.map((path) => Buffer.from(path)),
  };
}

export const exited = (value: number): ShimMessage => ({ type: 'exit', kind: 0, value });

export function out(stream: number, offset: number, data: Buffer | string): ShimMessage {
  return { type: 'out', stream, offset: BigInt(offset), data: Buffer.from(data) };
}
