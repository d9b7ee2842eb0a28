/** One connection to the agent: frames in, frames out, each taken only when the one before was dealt with. */
import type { Socket } from 'node:net';
import { encode } from '../protocol/codec.ts';
import { AGENT_MAGIC, agentMessages, type AgentMessage } from '../protocol/agent.ts';
import { FrameReader } from '../protocol/frames.ts';
import { writeStriped } from '../protocol/stripes.ts';

/** A promise holds the stream back until it is done; the sender feels it as back-pressure. */
export type Receive = (message: AgentMessage) => Promise<void> | undefined;

export class AgentStream {
  readonly #socket: Socket;
  #receive: Receive;
  #closed = false;
  #onClose: () => void = () => undefined;

  constructor(socket: Socket, receive: Receive) {
    this.#socket = socket;
    this.#receive = receive;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.write(AGENT_MAGIC);
    void this.#read();
  }

  /** From now on messages go there. */
  handOver(receive: Receive, onClose: () => void): void {
    this.#receive = receive;
    this.#onClose = onClose;
    if (this.#closed) onClose();
  }

  get closed(): boolean {
    // Reading may stand still over a piece when the socket ends.
    return this.#closed || this.#socket.destroyed;
  }

  /** Bytes that wait to be written. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** True when more may be sent at once; a closed stream swallows everything. */
  send(message: AgentMessage): boolean {
    if (this.closed) return true;
    return this.#socket.write(encode(agentMessages, message));
  }

  /** Sends, and waits until the peer has room for more. False when the stream is closed. */
  sendAndDrain(message: AgentMessage): Promise<boolean> {
    return AgentStream.sendStriped([this], message);
  }

  /** Sends on one of several, and waits until one of them has room for more. False when one of them is closed. */
  static async sendStriped(
    streams: readonly AgentStream[],
    message: AgentMessage,
  ): Promise<boolean> {
    if (streams.some((stream) => stream.closed)) return false;
    const sockets = streams.map((stream) => stream.#socket);
    return writeStriped(sockets, encode(agentMessages, message));
  }

  close(): void {
    this.#socket.destroy();
  }

  async #read(): Promise<void> {
    const reader = new FrameReader(agentMessages, { passing: agentMessages.blob.number });
    try {
      for await (const chunk of this.#socket) {
        const messages = reader.push(chunk as Buffer);
        // What cannot be read cannot be answered: such a peer is cut off.
        if (!messages.ok) break;
        for (const message of messages.value) await this.#receive(message);
      }
    } catch {
      // The connection broke: the same as its end.
    }
    this.#closed = true;
    this.#socket.destroy();
    this.#onClose();
  }
}
