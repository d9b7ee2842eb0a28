/** Where builds say that they ran: each connects from inside the build, writes its name and a newline, and reads the answer. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

export class Marks {
  readonly #server: Server;
  /** By name: the address of each machine that a build of this name ran on, once for each run. */
  readonly #runs = new Map<string, string[]>();
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8');
        if (!text.endsWith('\n')) return;
        const name = text.trim();
        this.#runs.set(name, [...this.from(name), socket.remoteAddress ?? '']);
        // The build goes on when it reads this: by then it is counted.
        socket.end('counted\n');
      });
      socket.on('error', () => undefined);
    });
  }

  static async open(): Promise<Marks> {
    const server = createServer();
    server.listen(0, '0.0.0.0');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new Marks(server, address.port);
  }

  /** How often a build of this name ran. */
  of(name: string): number {
    return this.from(name).length;
  }

  /** The addresses from which it was marked. */
  from(name: string): readonly string[] {
    return this.#runs.get(name) ?? [];
  }

  close(): void {
    this.#server.close();
  }
}
