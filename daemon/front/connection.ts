/** One connection to the front's socket: cut into messages, told apart by the first, bounded in time and size. */
import type { Socket } from 'node:net';
import { encode, type MessageOf } from '../../src/protocol/codec.ts';
import { controlMessages, type ControlMessage } from '../../src/protocol/control.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import {
  shimMessages,
  type Ask,
  type HookQuestion,
  type ShimMessage,
  type Told,
} from '../../src/protocol/shim.ts';

/** The numbers of both tables are disjoint; shim.ts and control.ts. */
export const frontMessages = { ...shimMessages, ...controlMessages } as const;
type FrontMessage = MessageOf<typeof frontMessages>;

/** ms for the first whole message to arrive. */
export const FIRST_MESSAGE = 10_000;
/** Bytes of replies that a peer may leave unread before it is let go. */
const MOST_UNREAD = 64 * 1024 * 1024;

const NOTHING = Buffer.alloc(0);

/** A question under way. */
export type Asking = {
  readonly firstDone: (kind: number, value: number) => void;
  readonly vanished: () => void;
};

export type ConnectionHandlers = {
  readonly ask: (ask: Ask, reply: (message: ShimMessage) => void) => Asking;
  /** Of a command that runs here already; nobody waits. */
  readonly told: (of: Told) => void;
  readonly where: (
    job: Buffer,
    caller: { signal: AbortSignal; reply: (message: ShimMessage) => void },
  ) => void;
  readonly call: (
    call: Extract<ControlMessage, { type: 'call' }>,
    caller: {
      signal: AbortSignal;
      reply: (message: ControlMessage) => void;
      /** Bytes that it has not taken yet. */
      unread: () => number;
    },
  ) => void;
  /** Answered at once, so that nothing need be undone when the caller goes away. */
  readonly hook: (question: HookQuestion) => boolean;
  readonly complain: (what: string) => void;
};

export class Connection {
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #reader = new FrameReader(frontMessages);
  /** Made for those who wait on the caller: most questions are answered before it could go. */
  #gone: AbortController | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #asking: Asking | undefined;
  /** An acknowledgement not yet sent. */
  #held: Buffer | undefined;

  constructor(socket: Socket, handlers: ConnectionHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#deadline = setTimeout(() => socket.destroy(), FIRST_MESSAGE);
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(this.#deadline);
      this.#asking?.vanished();
      this.#gone?.abort();
    });
  }

  get #signal(): AbortSignal {
    this.#gone ??= new AbortController();
    return this.#gone.signal;
  }

  #receive(chunk: Buffer): void {
    const messages = this.#reader.push(chunk);
    if (!messages.ok) {
      this.#refuse(messages.failure.reason);
      return;
    }
    if (messages.value.length === 0) return;
    clearTimeout(this.#deadline);
    for (const message of messages.value) this.#dispatch(message);
  }

  #dispatch(message: FrontMessage): void {
    const toShim = (reply: ShimMessage): void => {
      const frame = encode(shimMessages, reply);
      if (reply.type === 'ack') this.#hold(frame);
      else this.#send(frame);
    };
    if (message.type === 'ask' && this.#asking === undefined) {
      this.#asking = this.#handlers.ask(message, toShim);
    } else if (message.type === 'tell') {
      this.#handlers.told(message);
    } else if (message.type === 'firstDone') {
      this.#asking?.firstDone(message.kind, message.value);
    } else if (message.type === 'where') {
      this.#handlers.where(Buffer.from(message.job), { signal: this.#signal, reply: toShim });
    } else if (message.type === 'hookQuestion') {
      toShim({ type: 'hookAnswer', wrap: this.#handlers.hook(message) });
    } else if (message.type === 'call') {
      const reply = (reply: ControlMessage): void => {
        this.#send(encode(controlMessages, reply));
      };
      const unread = (): number => this.#socket.writableLength;
      this.#handlers.call(message, { signal: this.#signal, reply, unread });
    } else {
      this.#refuse(`an unexpected ${message.type}`);
    }
  }

  /** Sends it with the answer, where that is there at once (one write, and the caller wakes once), else without. */
  #hold(frame: Buffer): void {
    this.#held = frame;
    setImmediate(() => {
      if (this.#held !== undefined) this.#send(NOTHING);
    });
  }

  #send(frame: Buffer): void {
    if (this.#socket.destroyed) return;
    const held = this.#held;
    this.#held = undefined;
    this.#socket.write(held === undefined ? frame : Buffer.concat([held, frame]));
    if (this.#socket.writableLength > MOST_UNREAD) this.#refuse('it does not read its replies');
  }

  #refuse(why: string): void {
    this.#handlers.complain(`a connection was closed: ${why}`);
    this.#socket.destroy();
  }
}
