/** A connection to the front, for the command line: calls by name, typed and checked by src/protocol/methods.ts. */
import { connect, type Socket } from 'node:net';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { frontSocket, type Layout } from '../base/layout.ts';
import { RunFolder } from '../base/run-folder.ts';
import { encode } from '../protocol/codec.ts';
import { CONTROL_PROTOCOL, controlMessages, type ControlMessage } from '../protocol/control.ts';
import { FrameReader } from '../protocol/frames.ts';
import {
  controlMethods,
  failure,
  type ControlMethod,
  type ParamsOf,
  type ReplyOf,
} from '../protocol/methods.ts';

export type ConnectFailure = {
  readonly reason: string;
  readonly next?: string;
  /**
   * - `absent`: no daemon runs.
   * - `foreign`: the run folder cannot be trusted.
   * - `hung`: a daemon holds the socket and does not take connections.
   */
  readonly kind: 'absent' | 'foreign' | 'hung';
};

export type CallOptions = {
  /** ms until the call fails; none by default, since a probe may upload for minutes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** What the method sends on the way, as methods.ts says; unchecked JSON. */
  readonly onEvent?: (event: unknown) => void;
};

type Pending = {
  readonly settle: (reply: Result<unknown>) => void;
  readonly onEvent: ((event: unknown) => void) | undefined;
};

/** ms within which connect(2) to a live daemon succeeds; its backlog is full only when it hangs. */
const CONNECT_DEADLINE = 5000;

function open(address: string): Promise<Result<Socket, ConnectFailure>> {
  return new Promise((resolve) => {
    const socket = connect({ path: address });
    const hung = setTimeout(() => {
      socket.destroy();
      resolve({ ok: false, failure: { kind: 'hung', reason: 'the daemon does not answer' } });
    }, CONNECT_DEADLINE);
    socket.once('connect', () => {
      clearTimeout(hung);
      resolve(ok(socket));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(hung);
      const kind = error.code === 'EAGAIN' ? 'hung' : 'absent';
      const reason = kind === 'hung' ? 'the daemon does not answer' : 'the daemon is not running';
      resolve({ ok: false, failure: { kind, reason, next: 'rch daemon start' } });
    });
  });
}

function parsed(json: Buffer): Result<unknown> {
  try {
    return ok(JSON.parse(json.toString('utf8')));
  } catch (thrown) {
    return fail(`the daemon answered what is no JSON: ${messageOf(thrown)}`);
  }
}

export class DaemonClient {
  readonly #socket: Socket;
  readonly #reader = new FrameReader(controlMessages);
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  /** Settles when the connection is gone, for whatever cause. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#failAll('the daemon closed the connection');
        resolve();
      });
    });
  }

  /** Connects to a running daemon; never starts one. */
  static async connect(layout: Layout): Promise<Result<DaemonClient, ConnectFailure>> {
    const folder = RunFolder.open(layout.run);
    if (!folder.ok) {
      if (folder.failure.kind === 'foreign') return folder;
      const reason = 'the daemon is not running';
      return { ok: false, failure: { kind: 'absent', reason, next: 'rch daemon start' } };
    }
    const socket = await open(folder.value.address(frontSocket(layout)));
    folder.value.close();
    return socket.ok ? ok(new DaemonClient(socket.value)) : socket;
  }

  /** Calls a method; every failure is a value, also a reply that is not what methods.ts promises. */
  async call<M extends ControlMethod>(
    method: M,
    params: ParamsOf<M>,
    options: CallOptions = {},
  ): Promise<Result<ReplyOf<M>>> {
    const reply = await this.#exchange(method, params, options);
    if (!reply.ok) return reply;
    const checked = controlMethods[method].reply.safeParse(reply.value);
    if (checked.success) return ok(checked.data as ReplyOf<M>);
    const issue = checked.error.issues[0];
    return fail(
      `the daemon's reply to ${method} is not understood: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
      'rch daemon restart',
    );
  }

  close(): void {
    this.#socket.destroy();
  }

  #exchange(method: string, params: unknown, options: CallOptions): Promise<Result<unknown>> {
    const request = this.#next++;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const abort = (): void => {
        settle(fail('interrupted'));
      };
      const settle = (reply: Result<unknown>): void => {
        this.#pending.delete(request);
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', abort);
        resolve(reply);
      };
      if (this.#socket.destroyed) {
        resolve(fail('the daemon closed the connection'));
        return;
      }
      if (options.signal?.aborted === true) {
        resolve(fail('interrupted'));
        return;
      }
      options.signal?.addEventListener('abort', abort);
      if (options.timeoutMs !== undefined) {
        timer = setTimeout(() => {
          settle(fail(`the daemon gave no reply to ${method} in ${options.timeoutMs ?? 0} ms`));
        }, options.timeoutMs);
      }
      this.#pending.set(request, { settle, onEvent: options.onEvent });
      const json = Buffer.from(JSON.stringify(params), 'utf8');
      this.#socket.write(
        encode(controlMessages, {
          type: 'call',
          protocol: CONTROL_PROTOCOL,
          request,
          method,
          json,
        }),
      );
    });
  }

  #receive(chunk: Buffer): void {
    const messages = this.#reader.push(chunk);
    if (!messages.ok) {
      this.#failAll(`the daemon sent what is not understood: ${messages.failure.reason}`);
      this.#socket.destroy();
      return;
    }
    for (const message of messages.value) this.#dispatch(message);
  }

  #dispatch(message: ControlMessage): void {
    if (message.type === 'call') return;
    const pending = this.#pending.get(message.request);
    if (pending === undefined) return;
    const value = parsed(message.json);
    if (message.type === 'event') {
      if (value.ok) pending.onEvent?.(value.value);
    } else if (message.ok || !value.ok) {
      pending.settle(value);
    } else {
      const told = failure.safeParse(value.value);
      pending.settle(
        told.success
          ? fail(told.data.reason, told.data.next)
          : fail('the daemon failed without a reason'),
      );
    }
  }

  #failAll(reason: string): void {
    for (const pending of [...this.#pending.values()]) pending.settle(fail(reason));
  }
}
