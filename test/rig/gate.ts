/**
 * Tools whose every step a test decides: `tool.py` connects here, says hello, and does the Python statements it is
 * sent one after another, telling of each when it is done. So nothing in a test has to wait for a time to pass.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** The program, to be placed in a project and called as `python3 tool.py PORT [HOST]`. */
export const toolText = `import getpass, os, signal, socket, sys, time
s = socket.create_connection((sys.argv[2] if len(sys.argv) > 2 else '127.0.0.1', int(sys.argv[1])))
f = s.makefile('r')
def say(word):
    s.sendall((word + '\\n').encode())
def on(number, word):
    signal.signal(number, lambda *_: say(word))
signal.signal(signal.SIGINT, signal.SIG_DFL)
say('hello')
for line in f:
    exec(line)
    sys.stdout.flush()
    say('done')
`;

/** ms that a tool may take for any step. */
const PATIENCE = 60_000;

/** One running tool. */
export class Tool {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  #wake: (() => void) | undefined;
  #gone = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    createInterface({ input: socket }).on('line', (line) => {
      this.#lines.push(line);
      this.#wake?.();
    });
    socket.once('close', () => {
      this.#gone = true;
      this.#wake?.();
    });
  }

  /** Waits for its hello; false for one that was killed before it came to that, by a test that did not wait for it. */
  async began(): Promise<boolean> {
    try {
      await this.says('hello');
      return true;
    } catch (thrown) {
      if (this.alive) throw thrown;
      return false;
    }
  }

  /** Waits until the tool says `word`. */
  async says(word: string): Promise<void> {
    for (;;) {
      const at = this.#lines.indexOf(word);
      if (at >= 0) {
        this.#lines.splice(0, at + 1);
        return;
      }
      if (this.#gone) throw new Error(`the tool ended before it said ${word}`);
      await this.#stir(`said ${word}`);
    }
  }

  /** Has it do a statement, and does not wait for that. */
  begin(statement: string): void {
    this.#socket.write(`${statement}\n`);
  }

  async does(statement: string): Promise<void> {
    this.begin(statement);
    await this.says('done');
  }

  /** Waits until its process is gone, with all that held its socket. */
  async dies(): Promise<void> {
    while (!this.#gone) await this.#stir('ended');
  }

  get alive(): boolean {
    return !this.#gone;
  }

  #stir(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`in ${PATIENCE} ms the tool never ${what}: ${this.#lines.join(', ')}`));
      }, PATIENCE);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** Where tools connect. */
export class Gate {
  readonly #server: Server;
  readonly #waiting: Socket[] = [];
  readonly #all = new Set<Socket>();
  readonly port: number;
  #wake: (() => void) | undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (socket) => {
      this.#all.add(socket);
      this.#waiting.push(socket);
      this.#wake?.();
    });
  }

  static async open(): Promise<Gate> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new Gate(server, address.port);
  }

  /** The next tool that has begun. */
  async tool(): Promise<Tool> {
    for (;;) {
      const socket = this.#waiting.shift();
      if (socket !== undefined) {
        const tool = new Tool(socket);
        if (await tool.began()) return tool;
        continue;
      }
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`in ${PATIENCE} ms no tool began`));
        }, PATIENCE);
        this.#wake = () => {
          clearTimeout(timer);
          this.#wake = undefined;
          resolve();
        };
      });
    }
  }

  /** Lets go of tools that began and that nobody asked for. */
  forget(): void {
    for (const socket of this.#waiting.splice(0)) socket.destroy();
  }

  close(): void {
    for (const socket of this.#all) socket.destroy();
    this.#server.close();
  }
}
