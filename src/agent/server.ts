/** Listens on the agent's socket: each connection says hello, and is then a session's control or bulk stream. */
import { createServer, type Server, type Socket } from 'node:net';
import { rmSync } from 'node:fs';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { AGENT_PROTOCOL, type AgentMessage } from '../protocol/agent.ts';
import { helloFacts, type HelloFacts } from '../protocol/facts.ts';
import type { Agent } from './agent.ts';
import { answers, type Lock } from './lock.ts';
import { isPlainName } from './roots.ts';
import { AgentStream } from './stream.ts';

/** How long a connection may be silent before its hello, ms. */
const HELLO_MS = 30_000;

function parseHello(json: Buffer): HelloFacts | undefined {
  try {
    const parsed = helloFacts.safeParse(JSON.parse(json.toString('utf8')));
    return parsed.success && isPlainName(parsed.data.workstation) ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

function refuse(stream: AgentStream, reason: string): void {
  stream.send({ type: 'refused', request: 0, kind: 'internal', reason });
  stream.close();
}

export class AgentServer {
  readonly #server: Server;
  readonly #lock: Lock;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, lock: Lock) {
    this.#server = server;
    this.#lock = lock;
  }

  /** Listens on `address` for the agent that has the `lock` of its folder, which is given back in the end. */
  static async listen(address: string, lock: Lock, agent: Agent): Promise<Result<AgentServer>> {
    if (await answers(address)) {
      lock.release();
      return fail(`another agent answers on ${address}`);
    }
    rmSync(address, { force: true });
    const server = createServer();
    const listening = new AgentServer(server, lock);
    server.on('connection', (connection) => {
      listening.#accept(connection, agent);
    });
    const bound = await bind(server, address);
    if (bound.ok && lock.held()) return ok(listening);
    server.close();
    lock.release();
    return bound.ok ? fail('another agent took the lock') : bound;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#lock.release();
  }

  #accept(socket: Socket, agent: Agent): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const timer = setTimeout(() => {
      socket.destroy();
    }, HELLO_MS);
    socket.on('close', () => {
      clearTimeout(timer);
    });
    const stream: AgentStream = new AgentStream(socket, (message) => {
      clearTimeout(timer);
      return greet(message, stream, agent);
    });
  }
}

function greet(
  message: AgentMessage,
  stream: AgentStream,
  agent: Agent,
): Promise<void> | undefined {
  if (message.type !== 'hello') {
    refuse(stream, 'the first message must be hello');
    return undefined;
  }
  if (message.protocol > AGENT_PROTOCOL || message.protocol < AGENT_PROTOCOL - 1) {
    refuse(stream, `this agent speaks protocol ${AGENT_PROTOCOL}, not ${message.protocol}`);
    return undefined;
  }
  const hello = parseHello(message.json);
  if (hello === undefined) {
    refuse(stream, 'the hello cannot be read');
    return undefined;
  }
  if (!message.bulk) return agent.greet(message.session, hello, stream);
  if (!agent.join(message.session, hello, stream)) refuse(stream, 'there is no such session');
  return undefined;
}

function bind(server: Server, address: string): Promise<Result<undefined>> {
  return new Promise((resolve) => {
    server.once('error', (error) => {
      resolve(fail(`cannot listen on ${address}: ${messageOf(error)}`));
    });
    server.listen(address, () => {
      resolve(ok(undefined));
    });
  });
}
