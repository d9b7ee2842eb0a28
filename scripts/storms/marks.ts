/** Where builds say that they ran: each connects from inside the build, writes its name and a newline, and reads the answer. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

export class Marks {
  readonly #server: Server;
  readonly #counts = new Map<string, number>();
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
        this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
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
    return this.#counts.get(name) ?? 0;
  }

  get names(): readonly string[] {
    return [...this.#counts.keys()];
  }

  close(): void {
    this.#server.close();
  }
}
