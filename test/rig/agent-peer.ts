/** A scripted link: starts a real agent and speaks the real protocol with it over its Unix socket. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { blake3 } from '@napi-rs/blake-hash';
import { encode } from '../../src/protocol/codec.ts';
import {
  AGENT_MAGIC,
  AGENT_PROTOCOL,
  agentMessages,
  type AgentMessage,
} from '../../src/protocol/agent.ts';
import type { HelloFacts } from '../../src/protocol/facts.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import type { JobSpec } from '../../src/protocol/jobs.ts';
import { StreamKind } from '../../src/protocol/shim.ts';
import { unpackPiece } from '../../src/protocol/pieces.ts';
import type { Change, Entry, Manifest } from '../../src/tree/manifest.ts';
import { packChanges, unpackChanges } from '../../src/tree/packed.ts';
import { diff } from '../../src/tree/diff.ts';
import { clear } from './processes.ts';

const lib = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'dist', 'lib');

export type Of<Type extends AgentMessage['type']> = Extract<AgentMessage, { type: Type }>;

/** How long a test waits for what must come, ms. */
const PATIENCE = 60_000;

/** An agent process of its own folder. `stop` ends it and removes the folder. */
export class RunningAgent {
  readonly folder: string;
  readonly socket: string;
  readonly child: ChildProcess;
  said = '';

  constructor(folder: string, socket: string, child: ChildProcess) {
    this.folder = folder;
    this.socket = socket;
    this.child = child;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
  }

  async stop(): Promise<void> {
    await this.end();
    clear(this.folder);
  }
}

export type AgentOptions = {
  readonly folder?: string;
  /** What its socket is named by. */
  readonly name?: string;
  readonly arguments?: readonly string[];
  /** PATH in place of this process's. */
  readonly path?: string;
};

/** Starts an agent and waits until it is ready, or has ended. */
export async function startAgent(options: AgentOptions = {}): Promise<RunningAgent> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'rch-agent-test-'));
  const socket = join(folder, 'run', `${options.name ?? 'test'}.sock`);
  const argv = [join(lib, 'rch-wkr.mjs'), 'serve', '--folder', folder, '--socket', socket];
  const child = spawn(process.execPath, [...argv, ...(options.arguments ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...(options.path === undefined ? {} : { PATH: options.path }) },
  });
  const agent = new RunningAgent(folder, socket, child);
  child.stderr.on('data', (data: Buffer) => {
    agent.said += data.toString();
  });
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  return agent;
}

/** One stream of a link: messages it received and nobody took yet. */
export class PeerStream {
  readonly socket: Socket;
  readonly #received: AgentMessage[] = [];
  readonly #waiting: { readonly take: () => boolean; readonly lost: () => void }[] = [];
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader(agentMessages);
    let head = Buffer.alloc(0);
    let magic = false;
    socket.on('data', (chunk: Buffer) => {
      let data = chunk;
      if (!magic) {
        head = Buffer.concat([head, chunk]);
        if (head.length < AGENT_MAGIC.length) return;
        if (!head.subarray(0, AGENT_MAGIC.length).equals(AGENT_MAGIC)) throw new Error('no magic');
        magic = true;
        data = head.subarray(AGENT_MAGIC.length);
      }
      const messages = reader.push(data);
      if (!messages.ok) throw new Error(messages.failure.reason);
      this.#received.push(...messages.value);
      this.#serve();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      for (const waiter of this.#waiting.splice(0)) waiter.lost();
    });
  }

  static async open(path: string): Promise<PeerStream> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new PeerStream(socket);
  }

  send(message: AgentMessage): void {
    this.socket.write(encode(agentMessages, message));
  }

  /** The next message of the type that fits, in order of arrival; others stay. */
  take<Type extends AgentMessage['type']>(
    type: Type,
    fits: (message: Of<Type>) => boolean = () => true,
  ): Promise<Of<Type>> {
    return this.takeAny(
      (message): message is Of<Type> => message.type === type && fits(message as Of<Type>),
    );
  }

  takeAny<M extends AgentMessage>(fits: (message: AgentMessage) => message is M): Promise<M> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`nothing came; there was ${this.#received.map((m) => m.type).join(' ')}`));
      }, PATIENCE);
      const take = (): boolean => {
        const at = this.#received.findIndex(fits);
        if (at < 0) return false;
        const [message] = this.#received.splice(at, 1);
        clearTimeout(timer);
        resolve(message as M);
        return true;
      };
      const lost = (): void => {
        clearTimeout(timer);
        reject(
          new Error(
            `the stream was closed; there was ${this.#received.map((m) => m.type).join(' ')}`,
          ),
        );
      };
      if (take()) return;
      if (this.closed) lost();
      else this.#waiting.push({ take, lost });
    });
  }

  /** What came and was not taken. */
  get received(): readonly AgentMessage[] {
    return this.#received;
  }

  async untilClosed(): Promise<void> {
    if (!this.closed) await once(this.socket, 'close');
  }

  close(): void {
    this.socket.destroy();
  }

  #serve(): void {
    for (const waiter of [...this.#waiting])
      if (waiter.take()) this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
  }
}

export function hashOf(data: Buffer): string {
  return blake3(data).toString('hex');
}

/** Entries for a manifest; times are fixed, so that two trees of the same files are equal. */
export const MTIME = 1_700_000_000_123_456_789n;
export function file(data: string | Buffer, mode = 0o644, mtime = MTIME): Entry {
  const bytes = Buffer.from(data);
  return { kind: 'file', mode, size: bytes.length, mtime, hash: hashOf(bytes) };
}
export function dir(mode = 0o755, mtime = MTIME): Entry {
  return { kind: 'dir', mode, mtime };
}
export function symlink(target: string, mtime = MTIME): Entry {
  return { kind: 'symlink', target, mtime };
}

export function manifestOf(entries: Record<string, Entry>): Manifest {
  return new Map([['', dir()] as const, ...Object.entries(entries)]);
}

export type HelloOptions = Partial<HelloFacts>;

/** A link of one workstation, with one control stream. */
export class AgentPeer {
  readonly control: PeerStream;
  readonly session: Buffer;
  readonly hello: HelloFacts;
  welcome: Of<'welcome'> | undefined;
  readonly #socket: string;
  #request = 0;

  private constructor(
    control: PeerStream,
    of: { socket: string; session: Buffer; hello: HelloFacts },
  ) {
    this.control = control;
    this.session = of.session;
    this.hello = of.hello;
    this.#socket = of.socket;
  }

  static async connect(
    socket: string,
    options: HelloOptions = {},
    session = randomBytes(16),
  ): Promise<AgentPeer> {
    const hello: HelloFacts = {
      workstation: 'station',
      storeLimit: 1e10,
      ownerDeadline: 60,
      clockShift: '0',
      totalSlots: 4,
      ...options,
    };
    const peer = new AgentPeer(await PeerStream.open(socket), { socket, session, hello });
    peer.control.send(peer.#hello(false));
    peer.welcome = await peer.control.take('welcome');
    return peer;
  }

  #hello(bulk: boolean): Of<'hello'> {
    return {
      type: 'hello',
      protocol: AGENT_PROTOCOL,
      version: 'test',
      session: this.session,
      bulk,
      json: Buffer.from(JSON.stringify(this.hello)),
    };
  }

  async openBulk(): Promise<PeerStream> {
    const stream = await PeerStream.open(this.#socket);
    stream.send(this.#hello(true));
    return stream;
  }

  send(message: AgentMessage): void {
    this.control.send(message);
  }

  nextRequest(): number {
    this.#request += 1;
    return this.#request;
  }

  /** The answer to a request, whatever it is. */
  answer(request: number): Promise<AgentMessage & { readonly request: number }> {
    return this.control.takeAny(
      (message): message is AgentMessage & { readonly request: number } =>
        'request' in message && message.request === request,
    );
  }

  sendContent(
    data: Buffer,
    stream: PeerStream = this.control,
    from = 0,
    until = data.length,
  ): void {
    for (let offset = from; offset === from || offset < until; offset += 1 << 20) {
      stream.send({
        type: 'blob',
        hash: Buffer.from(hashOf(data), 'hex'),
        size: BigInt(data.length),
        offset: BigInt(offset),
        codec: 0,
        base: Buffer.alloc(0),
        data: data.subarray(offset, Math.min(until, offset + (1 << 20))),
      });
    }
  }

  /** Sends one sync message after another for these changes. */
  sendSync(sync: SyncOptions, changes: readonly Change[]): number {
    const request = this.nextRequest();
    const parts = packChanges(changes);
    for (const [at, part] of parts.entries())
      this.send({
        type: 'sync',
        request,
        root: sync.root ?? 'root',
        path: Buffer.from(sync.path, 'latin1'),
        policy: sync.policy ?? 0,
        from: sync.from ?? 0n,
        to: sync.to,
        whole: sync.whole ?? false,
        changes: part,
        last: at === parts.length - 1,
      });
    return request;
  }

  /** A whole sync that gives the agent what it needs of `contents`. */
  async syncWhole(
    sync: SyncOptions,
    manifest: Manifest,
    contents: readonly (string | Buffer)[] = [],
  ): Promise<AgentMessage> {
    const request = this.sendSync({ ...sync, whole: true }, diff(new Map(), manifest));
    return this.serveNeeds(request, contents);
  }

  /** Answers `syncNeed` until the sync ends. */
  async serveNeeds(request: number, contents: readonly (string | Buffer)[]): Promise<AgentMessage> {
    for (;;) {
      const answer = await this.answer(request);
      if (answer.type !== 'syncNeed') return answer;
      for (let at = 0; at < answer.hashes.length; at += 32) {
        const hash = answer.hashes.toString('hex', at, at + 32);
        const data = contents
          .map((each) => Buffer.from(each))
          .find((each) => hashOf(each) === hash);
        if (data === undefined) throw new Error(`the agent needs ${hash}, which the test has not`);
        this.sendContent(data, this.control, Number(answer.partial.readBigUInt64LE(at / 4)));
      }
    }
  }

  run(job: Buffer, run: RunOptions): void {
    this.send({
      type: 'run',
      job,
      json: Buffer.from(JSON.stringify({ ...plainSpec(), ...run.spec })),
      argv: run.argv.map((item) => Buffer.from(item)),
      env: (run.env ?? ['PATH=/usr/local/bin:/usr/bin:/bin']).map((item) => Buffer.from(item)),
      cwd: Buffer.from(run.cwd),
      tool: Buffer.from(run.tool ?? '/bin/sh'),
    });
  }

  /** All output of one stream until the job's end, acknowledged as it comes; then its results and end. */
  async follow(job: Buffer): Promise<Followed> {
    const output = new Map<number, Buffer[]>();
    const followed: Followed = { stdout: '', stderr: '', results: new Map(), end: undefined };
    for (;;) {
      const message = await this.control.takeAny(
        (each): each is AgentMessage & { readonly job: Buffer } =>
          'job' in each && each.job.equals(job),
      );
      if (message.type === 'out') {
        const chunks = output.get(message.stream) ?? [];
        output.set(message.stream, [...chunks, message.data]);
        const offset = message.offset + BigInt(message.data.length);
        this.send({ type: 'outAck', job, stream: message.stream, offset });
      } else if (message.type === 'result') {
        const part = unpackChanges(message.changes);
        if (!part.ok) throw new Error(part.failure.reason);
        const { from, till } = message;
        const known = followed.results.get(message.root)?.changes ?? [];
        followed.results.set(message.root, { from, till, changes: [...known, ...part.value] });
      } else if (message.type === 'execHere') followed.execHere = message;
      else if (message.type === 'notStarted') return { ...followed, notStarted: message };
      else if (message.type === 'ended') {
        const text = (stream: number): string =>
          Buffer.concat(output.get(stream) ?? []).toString('latin1');
        return { ...followed, stdout: text(1), stderr: text(2), end: message };
      }
    }
  }

  /** Fetches contents of a result; their bytes by hash. */
  async fetch(
    job: Buffer,
    hashes: readonly string[],
    stream = this.control,
  ): Promise<Map<string, Buffer>> {
    const request = this.nextRequest();
    this.send({ type: 'fetch', request, job, hashes: Buffer.from(hashes.join(''), 'hex') });
    const contents = new Map<string, Buffer>();
    const left = new Set(hashes);
    while (left.size > 0) {
      const blob = await stream.take('blob');
      const hash = blob.hash.toString('hex');
      const piece = unpackPiece({ codec: blob.codec === 1 ? 1 : 0, data: blob.data });
      if (!piece.ok) throw new Error(piece.failure.reason);
      const data = Buffer.concat([contents.get(hash) ?? Buffer.alloc(0), piece.value]);
      contents.set(hash, data);
      if (BigInt(data.length) === blob.size) left.delete(hash);
    }
    const end = await this.answer(request);
    if (end.type !== 'fetched') throw new Error(end.type);
    return contents;
  }

  close(): void {
    this.control.close();
  }
}

export type Followed = {
  readonly stdout: string;
  readonly stderr: string;
  readonly results: Map<string, { from: bigint; till: bigint; changes: readonly Change[] }>;
  readonly end: Of<'ended'> | undefined;
  execHere?: Of<'execHere'>;
  notStarted?: Of<'notStarted'>;
};

export type SyncOptions = {
  readonly root?: string;
  readonly path: string;
  readonly policy?: number;
  readonly from?: bigint;
  readonly to: bigint;
  readonly whole?: boolean;
};

export type RunOptions = {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly tool?: string;
  readonly env?: readonly string[];
  readonly spec?: Partial<JobSpec>;
};

function plainSpec(): JobSpec {
  return {
    roots: [],
    open: [],
    hide: ['/home/caller'],
    shimDir: '',
    shimTools: [],
    user: { name: 'caller', uid: 1234, gid: 1234, group: 'callers', home: '/home/caller' },
    machine: { host: '', zone: '' },
    umask: 0o022,
    streams: [StreamKind.devNull, StreamKind.pipe, StreamKind.pipe],
    joined: false,
    window: { rows: 0, cols: 0, xpixel: 0, ypixel: 0 },
    termios: '',
    rlimits: '',
    signals: '',
    slots: 1,
    slotWaitMs: 0,
    catchExec: [],
    network: true,
    newest: '0',
    caches: [],
  };
}
