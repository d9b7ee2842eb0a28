/** The socket where launchers commit to the jobs that the front planned for this worker. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { encode } from '../../src/protocol/codec.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import { shimMessages, type ShimMessage } from '../../src/protocol/shim.ts';

/** A launcher that has not said what it wants after this is dropped, ms. */
const SILENCE_MS = 30_000;

/** A launcher hears from us this often, ms; it looks for another link when this one is silent for 30 s. */
const BEAT_MS = 2000;

export type Opening = Extract<ShimMessage, { type: 'commit' | 'resume' | 'rejoin' }>;

function isOpening(message: ShimMessage): message is Opening {
  return message.type === 'commit' || message.type === 'resume' || message.type === 'rejoin';
}

/** One launcher on the line. */
export class Launcher {
  readonly #socket: Socket;
  #heart: NodeJS.Timeout | undefined;
  #finished = false;
  /** Set by the job that serves this launcher. */
  onMessage: (message: ShimMessage) => void = () => undefined;
  onGone: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => {
      clearInterval(this.#heart);
    });
  }

  /** Begins to beat, until the last message. */
  beat(): void {
    this.#heart = setInterval(() => {
      this.send({ type: 'wait', text: '' });
    }, BEAT_MS);
  }

  send(message: ShimMessage): void {
    if (!this.#finished && !this.#socket.destroyed)
      this.#socket.write(encode(shimMessages, message));
  }

  /** Sends a last message and closes once it is out. */
  finish(message: ShimMessage): void {
    clearInterval(this.#heart);
    if (this.#finished || this.#socket.destroyed) return;
    this.#finished = true;
    this.#socket.end(encode(shimMessages, message));
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
        else if (isOpening(message)) {
          open = true;
          socket.setTimeout(0);
          launcher.beat();
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
