/** The socket where launchers commit to the jobs that the front planned for this worker. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { encode } from '../../src/protocol/codec.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import { shimMessages, type ShimMessage } from '../../src/protocol/shim.ts';

/** A launcher that has not said what it wants after this is dropped, ms. */
const SILENCE_MS = 30_000;

/** Until the tool starts a launcher hears from us this often, ms; it gives up a link that is silent for 30 s. */
const BEAT_MS = 2000;

export type Opening = Extract<ShimMessage, { type: 'commit' | 'resume' }>;

/** One launcher on the line. */
export class Launcher {
  readonly #socket: Socket;
  #heart: NodeJS.Timeout | undefined;
  /** Set by the job that serves this launcher. */
  onMessage: (message: ShimMessage) => void = () => undefined;
  onGone: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => {
      clearInterval(this.#heart);
    });
  }

  /** Begins to beat, until the tool has started. */
  beat(): void {
    this.#heart = setInterval(() => {
      this.send({ type: 'wait', text: '' });
    }, BEAT_MS);
  }

  send(message: ShimMessage): void {
    if (message.type === 'started') clearInterval(this.#heart);
    if (!this.#socket.destroyed) this.#socket.write(encode(shimMessages, message));
  }

  /** Sends a last message and closes once it is out. */
  finish(message: ShimMessage): void {
    this.onGone = () => undefined;
    clearInterval(this.#heart);
    if (!this.#socket.destroyed) this.#socket.end(encode(shimMessages, message));
  }

  drop(): void {
    this.#socket.destroy();
  }
}

/** Listens on `path` (which may be relative to the working folder: sun_path holds 107 bytes), mode 0600. */
export function serveLaunchers(
  path: string,
  opened: (opening: Opening, launcher: Launcher) => void,
): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    const launcher = new Launcher(socket);
    const reader = new FrameReader(shimMessages);
    let open = false;
    socket.setTimeout(SILENCE_MS, () => {
      socket.destroy();
    });
    socket.on('data', (chunk: Buffer) => {
      const messages = reader.push(chunk);
      if (!messages.ok) {
        socket.destroy();
        return;
      }
      for (const message of messages.value) {
        if (open) launcher.onMessage(message);
        else if (message.type === 'commit' || message.type === 'resume') {
          open = true;
          socket.setTimeout(0);
          if (message.type === 'commit') launcher.beat();
          opened(message, launcher);
        } else socket.destroy();
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      launcher.onGone();
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      server.off('error', reject);
      resolve(server);
    });
    process.umask(before);
  });
}
