/** A daemon with a home of its own: the real rchd.mjs, spoken to by the real codec; its links are scripted. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { frontSocket, historyFile, layoutFor, type Layout } from '../../../src/base/layout.ts';
import { startTimeOf } from '../../../src/base/processes.ts';
import { RunFolder } from '../../../src/base/run-folder.ts';
import { ownView } from '../../../src/base/view.ts';
import { DaemonClient } from '../../../src/client/daemon-client.ts';
import { encode, type MessageOf } from '../../../src/protocol/codec.ts';
import { machineFacts } from '../../../src/facts/machine.ts';
import type { AgentFacts } from '../../../src/protocol/facts.ts';
import { FrameReader } from '../../../src/protocol/frames.ts';
import {
  frontToLink,
  type FrontToLink,
  type LinkToFront,
  type PlannedJob,
} from '../../../src/protocol/ipc.ts';
import type { ControlMethod, ParamsOf, ReplyOf } from '../../../src/protocol/methods.ts';
import {
  SHIM_PROTOCOL,
  shimMessages,
  type Ask,
  type ShimMessage,
  type Told,
} from '../../../src/protocol/shim.ts';
import { clear } from '../../rig/processes.ts';

const top = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** Fails loudly instead of hanging the suite. */
export function within<T>(what: string, promise: Promise<T>, ms = 50_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what}: nothing in ${ms} ms`));
    }, ms);
  });
  return Promise.race([promise, late]).finally(() => {
    clearTimeout(timer);
  });
}

/** Values that arrive one by one, taken in order. */
class Inbox<T> {
  readonly #values: T[] = [];
  readonly #takers: ((value: T | undefined) => void)[] = [];
  #closed = false;

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker(value);
  }

  close(): void {
    this.#closed = true;
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  /** Undefined at the end. */
  take(): Promise<T | undefined> {
    const value = this.#values.shift();
    if (value !== undefined || this.#closed) return Promise.resolve(value);
    return new Promise((resolve) => this.#takers.push(resolve));
  }
}

/** A launcher: a process of its own for its pid, its frames sent by the test. */
export class Launcher {
  readonly socket: Socket;
  readonly #inbox = new Inbox<ShimMessage>();
  readonly #process: ChildProcess | undefined;

  constructor(socket: Socket, process?: ChildProcess) {
    this.socket = socket;
    this.#process = process;
    const reader = new FrameReader(shimMessages);
    socket.on('data', (chunk: Buffer) => {
      const messages = reader.push(chunk);
      if (!messages.ok) throw new Error(messages.failure.reason);
      for (const message of messages.value) this.#inbox.put(message);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#inbox.close();
    });
  }

  get pid(): number {
    return this.#process?.pid ?? process.pid;
  }

  /** The signal that its process dies of. */
  get died(): Promise<NodeJS.Signals | null> {
    const child = this.#process;
    if (child === undefined) throw new Error('it has no process of its own');
    if (child.exitCode !== null || child.signalCode !== null)
      return Promise.resolve(child.signalCode);
    return within(
      'the end of the process',
      once(child, 'exit').then((end) => end[1] as NodeJS.Signals | null),
    );
  }

  /** Waits for a heartbeat with these words. */
  async says(text: string): Promise<void> {
    for (;;) {
      const message = await this.next();
      if (message?.type === 'wait' && message.text === text) return;
      if (message?.type !== 'wait') throw new Error(`"${text}" expected, got ${describe(message)}`);
    }
  }

  /** The first message that is of none of these types, nor a heartbeat; the last type ends it. */
  async skip(...types: readonly ShimMessage['type'][]): Promise<ShimMessage> {
    for (;;) {
      const message = await this.next();
      if (message === undefined) throw new Error('the end of the connection');
      if (message.type === types.at(-1)) return message;
      if (message.type !== 'wait' && !types.includes(message.type))
        throw new Error(`${types.join(', ')} expected, got ${describe(message)}`);
    }
  }

  send(message: MessageOf<typeof shimMessages>): void {
    this.socket.write(encode(shimMessages, message));
  }

  /** The next message, whatever it is; undefined when the front closed the connection. */
  next(): Promise<ShimMessage | undefined> {
    return within('a message of the front', this.#inbox.take());
  }

  /** The next message of a type; heartbeats before it are skipped. */
  async expect<T extends ShimMessage['type']>(type: T): Promise<Extract<ShimMessage, { type: T }>> {
    for (;;) {
      const message = await this.next();
      if (message?.type === type) return message as Extract<ShimMessage, { type: T }>;
      if (message?.type !== 'wait') throw new Error(`${type} expected, got ${describe(message)}`);
    }
  }

  /** Ends as a launcher ends: process and connection. */
  async end(): Promise<void> {
    this.socket.destroy();
    if (this.#process?.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

function describe(message: ShimMessage | undefined): string {
  if (message === undefined) return 'the end of the connection';
  return 'reason' in message ? `${message.type}: ${message.reason}` : message.type;
}

/** The facts of a worker that is this very machine, but for `more`. */
export async function agentFactsLikeHere(
  tools: readonly string[],
  more: Partial<AgentFacts> = {},
): Promise<AgentFacts> {
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  // Whatever runs recipes asks after the shell, too.
  const facts = await machineFacts([...tools, '/bin/sh'], { path });
  return {
    ...facts,
    user: 'builder',
    uid: 2000,
    folder: '/home/builder/.cache/rch-wkr',
    node: process.version,
    agent: '',
    sandbox: { method: 'namespaces', mend: '' },
    totalSlots: 8,
    usedSlots: 0,
    ownSlots: 0,
    roots: {},
    ...more,
  };
}

/** The test's end of a scripted link. */
export class LinkScript {
  readonly worker: string;
  readonly pid: number;
  /** How often it was asked for facts. */
  probes = 0;
  readonly #socket: Socket;
  readonly #inbox = new Inbox<FrontToLink>();

  constructor(worker: string, pid: number, socket: Socket) {
    this.worker = worker;
    this.pid = pid;
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#inbox.close();
    });
  }

  heard(message: unknown): void {
    const told = frontToLink.parse(message);
    if (told.type === 'probe') this.probes += 1;
    this.#inbox.put(told);
  }

  say(message: LinkToFront): void {
    this.#socket.write(`${JSON.stringify({ send: message })}\n`);
  }

  /** Does not end when it is told to stop. */
  stubborn(): void {
    this.#socket.write(`${JSON.stringify({ stubborn: true })}\n`);
  }

  exit(code: number): void {
    this.#socket.write(`${JSON.stringify({ exit: code })}\n`);
  }

  /** The next message of a type; requests for facts are answered on the way. */
  async expect<T extends FrontToLink['type']>(
    type: T,
    more: Partial<AgentFacts> = {},
  ): Promise<Extract<FrontToLink, { type: T }>> {
    for (;;) {
      const message = await within(`${type} to the link of ${this.worker}`, this.#inbox.take());
      if (message === undefined) throw new Error(`the link of ${this.worker} is gone`);
      if (message.type === type) return message as Extract<FrontToLink, { type: T }>;
      if (message.type === 'probe') {
        const facts = await agentFactsLikeHere(message.tools, more);
        this.say({ type: 'probed', request: message.request, facts });
      } else if (!['configure', 'heard', 'logLevel'].includes(message.type))
        throw new Error(`${type} expected, got ${message.type}`);
    }
  }

  /** Goes through the motions of a link whose worker is like this machine, but for `more`. */
  async connected(
    more: Partial<AgentFacts> = {},
    recovered: Extract<LinkToFront, { type: 'recovered' }>['jobs'] = [],
  ): Promise<void> {
    const facts = await agentFactsLikeHere([], more);
    this.say({ type: 'recovered', jobs: recovered });
    this.say({ type: 'listening' });
    this.say({ type: 'connected', facts, clockOffset: '0', roundTrip: 0.2 });
  }

  done(job: PlannedJob, more: Partial<Extract<LinkToFront, { type: 'done' }>> = {}): void {
    this.say({
      type: 'done',
      job: job.job,
      outcome: { kind: 'exited', code: 0 },
      phases: { scan: 2, sync: 5, run: 100, return: 7, total: 114 },
      bytes: { sent: 10, received: 20, output: 30 },
      conflicts: [],
      missedEnv: [],
      deniedPath: '',
      ...more,
    });
  }
}

export class House {
  readonly root: string;
  readonly layout: Layout;
  readonly #env: Readonly<Record<string, string>>;
  readonly #links = new Inbox<LinkScript>();
  readonly #launchers: Launcher[] = [];
  #script: Server | undefined;
  #daemon: ChildProcess | undefined;
  stderr = '';

  /** `home`: a name for the installation's folder below the temporary one. */
  constructor(home = 'h') {
    this.root = mkdtempSync(join(tmpdir(), 'rch-front-'));
    this.#env = { HOME: this.root, PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
    this.layout = layoutFor(this.#env, join(this.root, home));
    const { lib, config, state, cache } = this.layout;
    mkdirSync(lib, { recursive: true });
    mkdirSync(config, { recursive: true });
    cpSync(join(top, 'dist', 'lib', 'rchd.mjs'), join(lib, 'rchd.mjs'));
    cpSync(join(top, 'test', 'fixtures', 'scripted-link.mjs'), join(lib, 'link.mjs'));
    writeFileSync(join(lib, 'layout.json'), JSON.stringify({ config, state, cache }));
  }

  get socket(): string {
    return frontSocket(this.layout);
  }

  write(name: 'config.toml' | 'workers.toml', text: string): void {
    writeFileSync(join(this.layout.config, name), text, { mode: 0o600 });
  }

  /** A folder with a Makefile, in the house. */
  project(name = 'project'): string {
    const folder = join(this.root, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'Makefile'), 'all a1 a2 b1 l1 h1:\n\ttrue\n');
    return folder;
  }

  /** Asks to run make in a project, insisting on a worker. */
  make(
    folder: string,
    env: Readonly<Record<string, string>> = {},
    more: Partial<Ask> = {},
    argv: readonly string[] = ['make'],
  ): Promise<Launcher> {
    return this.ask(argv, {
      cwd: Buffer.from(folder),
      real: Buffer.from('/usr/bin/make'),
      env: Object.entries({ ...this.#env, RCH_FORCE_REMOTE: '1', ...env }).map(([name, value]) =>
        Buffer.from(`${name}=${value}`),
      ),
      ...more,
    });
  }

  /** The process of a launcher asks once more for the same make, on a fresh connection. */
  async asksAgain({ pid }: Launcher, folder: string): Promise<Launcher> {
    const again = await this.launcher();
    const env = Object.entries({ ...this.#env, RCH_FORCE_REMOTE: '1' });
    const ask = question(
      { argv: ['make'], pid, env: {}, cwd: folder },
      {
        real: Buffer.from('/usr/bin/make'),
        env: env.map(([name, value]) => Buffer.from(`${name}=${value}`)),
      },
    );
    again.send(ask);
    await again.expect('ack');
    return again;
  }

  /** Workers that exist only as scripted links. */
  workers(...ids: string[]): void {
    const rows = ids.map((id) => `[[workers]]\nid = "${id}"\nhost = "${id}.invalid"\n`);
    this.write('workers.toml', rows.join('\n'));
  }

  async listenForLinks(): Promise<void> {
    const server = createServer((socket) => {
      let link: LinkScript | undefined;
      createInterface({ input: socket }).on('line', (line) => {
        const told = JSON.parse(line) as { worker: string; pid: number; message?: unknown };
        if (link === undefined) {
          link = new LinkScript(told.worker, told.pid, socket);
          this.#links.put(link);
        } else link.heard(told.message);
      });
      socket.on('error', () => undefined);
    });
    server.listen(join(this.layout.home, 'script.sock'));
    await once(server, 'listening');
    this.#script = server;
  }

  /** The next link that the front starts. */
  async link(): Promise<LinkScript> {
    const link = await within('a link', this.#links.take());
    if (link === undefined) throw new Error('no more links');
    return link;
  }

  /** Runs rchd until it listens; rejects with what it printed when it ends instead. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<ChildProcess> {
    const daemon = this.spawn(env);
    this.#daemon = daemon;
    await within('the daemon', this.#up(daemon));
    return daemon;
  }

  spawn(env: Readonly<Record<string, string>> = {}): ChildProcess {
    const daemon = spawn(process.execPath, [join(this.layout.lib, 'rchd.mjs'), '--background'], {
      env: { ...this.#env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    daemon.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('utf8');
    });
    return daemon;
  }

  async #up(daemon: ChildProcess): Promise<void> {
    for (;;) {
      if (daemon.exitCode !== null) throw new Error(`rchd ended: ${this.stderr}`);
      const client = await DaemonClient.connect(this.layout);
      if (client.ok) {
        client.value.close();
        return;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Ends the daemon as a crash would. */
  async crash(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon?.exitCode !== null || daemon.signalCode !== null) return;
    const gone = once(daemon, 'exit');
    daemon.kill('SIGKILL');
    await gone;
  }

  /** A raw connection to the front. */
  async connection(): Promise<Socket> {
    const folder = RunFolder.open(this.layout.run);
    if (!folder.ok) throw new Error(folder.failure.reason);
    const socket = connect({ path: folder.value.address(this.socket) });
    await once(socket, 'connect');
    folder.value.close();
    return socket;
  }

  async launcher(): Promise<Launcher> {
    const launcher = new Launcher(await this.connection());
    this.#launchers.push(launcher);
    return launcher;
  }

  /** Asks as a launcher with a process of its own would. */
  async ask(argv: readonly string[], more: Partial<Ask> = {}): Promise<Launcher> {
    const stand = spawn('/bin/sleep', ['600'], { stdio: 'ignore' });
    await once(stand, 'spawn');
    const launcher = new Launcher(await this.connection(), stand);
    this.#launchers.push(launcher);
    const pid = launcher.pid;
    launcher.send(question({ argv, pid, env: this.#env, cwd: this.root }, more));
    return launcher;
  }

  /** As a launcher that waits for nobody; settles when it was heard. */
  async tell(told: Told): Promise<void> {
    const socket = await this.connection();
    socket.end(encode(shimMessages, { type: 'tell', ...told }));
    await once(socket, 'close');
  }

  async call<M extends ControlMethod>(method: M, params: ParamsOf<M>): Promise<ReplyOf<M>> {
    const client = await DaemonClient.connect(this.layout);
    if (!client.ok) throw new Error(client.failure.reason);
    const reply = await within(method, client.value.call(method, params));
    client.value.close();
    if (!reply.ok) throw new Error(reply.failure.reason);
    return reply.value;
  }

  /** Settles when the history on disk holds `text`. */
  async recorded(text: string): Promise<void> {
    const file = historyFile(this.layout);
    await this.until('the line on disk', () => {
      return existsSync(file) && readFileSync(file, 'utf8').includes(text);
    });
  }

  /** Asks for the status until it is as wished. */
  async until(
    what: string,
    wished: (status: ReplyOf<'status'>) => boolean,
  ): Promise<ReplyOf<'status'>> {
    const client = await DaemonClient.connect(this.layout);
    if (!client.ok) throw new Error(client.failure.reason);
    const look = async (): Promise<ReplyOf<'status'>> => {
      for (;;) {
        const status = await client.value.call('status', {});
        if (!status.ok) throw new Error(status.failure.reason);
        if (wished(status.value)) return status.value;
      }
    };
    return within(what, look()).finally(() => {
      client.value.close();
    });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#launchers.map((launcher) => launcher.end()));
    const daemon = this.#daemon;
    if (daemon?.exitCode === null && daemon.signalCode === null) {
      const gone = once(daemon, 'exit');
      if (existsSync(this.socket)) await this.call('stop', { now: true }).catch(() => undefined);
      else daemon.kill('SIGKILL');
      await within('the end of the daemon', gone).catch(() => daemon.kill('SIGKILL'));
    }
    this.#script?.close();
    clear(this.root);
  }
}

type Asked = {
  readonly argv: readonly string[];
  readonly pid: number;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
};

/** The frame of a launcher with all three descriptors on /dev/null. */
export function question(asked: Asked, more: Partial<Ask> = {}): Ask {
  const tool = asked.argv[0] ?? '';
  const env = Object.entries(asked.env).map(([name, value]) => Buffer.from(`${name}=${value}`));
  return {
    type: 'ask',
    protocol: SHIM_PROTOCOL,
    version: '0.0.0',
    pid: asked.pid,
    ppid: process.pid,
    startTime: startTimeOf(asked.pid) ?? 0n,
    tool: Buffer.from(tool),
    real: Buffer.from(`/usr/bin/${tool}`),
    shimDir: Buffer.from('/nowhere/shims'),
    cwd: Buffer.from(asked.cwd),
    view: ownView(),
    umask: 0o22,
    ...{ inKind: 4, inFlags: 0, inDev: 5n, inIno: 6n },
    ...{ outKind: 2, outFlags: 1, outDev: 5n, outIno: 7n },
    ...{ errKind: 2, errFlags: 1, errDev: 5n, errIno: 8n },
    shared: 0,
    ...{ rows: 0, cols: 0, xpixel: 0, ypixel: 0 },
    termios: Buffer.alloc(0),
    rlimits: Buffer.alloc(0),
    signals: Buffer.alloc(0),
    argv: asked.argv.map((word) => Buffer.from(word)),
    env,
    ...more,
  };
}
