/** The web page's server: the page itself, the stream of what goes on, and a few calls, each passed to the daemon's socket. */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { DaemonClient } from '../../src/client/daemon-client.ts';
import { controlMethods, type ControlMethod } from '../../src/protocol/methods.ts';
import { judge, type Verdict } from './guard.ts';

/** What the page may call. */
const served = ['history', 'why', 'cancel', 'order'] as const satisfies readonly ControlMethod[];
type Served = (typeof served)[number];

/** Bytes of a body, and those that a reader may leave unread before it is cut off; it comes back by itself. */
const MOST_BODY = 64 * 1024;
const MOST_UNREAD = 8 * 1024 * 1024;
/** ms for the daemon to answer. */
const PATIENCE = 30_000;
/** Records that a page begins with. */
const RECENT = 200;

export type ServerNeeds = {
  /** The page, with {{nonce}} where the nonce of its script and style goes. */
  readonly page: () => string;
  readonly token: string;
  readonly connect: () => Promise<Result<DaemonClient>>;
  /** ms without anybody after which `onIdle` is called. */
  readonly idleMs: number;
  readonly onIdle: () => void;
};

/** Nothing is loaded from anywhere, kept, shown in a frame, or told to others. */
function headers(nonce: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'cache-control': 'no-store',
  };
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...headers(''), 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** The JSON that was posted. */
async function bodyOf(request: IncomingMessage): Promise<Result<unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BODY) return fail('the body is too large');
    chunks.push(chunk);
  }
  try {
    return ok(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch {
    return fail('the body is no JSON');
  }
}

async function callDaemon(
  client: DaemonClient,
  method: Served,
  given: unknown,
): Promise<Result<unknown>> {
  const params = controlMethods[method].params.safeParse(given);
  if (!params.success)
    return fail(`${method}: ${params.error.issues[0]?.message ?? 'not allowed'}`);
  return client.call<Served>(method, params.data, { timeoutMs: PATIENCE });
}

export class DashboardServer {
  readonly #needs: ServerNeeds;
  readonly #server: Server;
  #idle: NodeJS.Timeout;
  /** Requests under way. */
  #open = 0;

  private constructor(needs: ServerNeeds) {
    this.#needs = needs;
    this.#idle = setTimeout(needs.onIdle, needs.idleMs);
    this.#server = createServer((request, response) => {
      this.#begun();
      response.once('close', () => {
        this.#ended();
      });
      this.#handle(request, response).catch((thrown: unknown) => {
        if (!response.headersSent) answer(response, 500, { reason: String(thrown) });
        else response.destroy();
      });
    });
    this.#server.maxConnections = 64;
  }

  /** Listens on `port` (0: any) of 127.0.0.1. */
  static listen(needs: ServerNeeds, port: number): Promise<Result<DashboardServer>> {
    const made = new DashboardServer(needs);
    return new Promise((resolve) => {
      made.#server.once('error', (error) => {
        clearTimeout(made.#idle);
        resolve(fail(error.message));
      });
      made.#server.listen({ host: '127.0.0.1', port }, () => {
        resolve(ok(made));
      });
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** The token is behind `#`, which browsers send nowhere. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/#${this.#needs.token}`;
  }

  close(): Promise<void> {
    clearTimeout(this.#idle);
    this.#server.closeAllConnections();
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  #begun(): void {
    this.#open++;
    clearTimeout(this.#idle);
  }

  #ended(): void {
    this.#open--;
    if (this.#open > 0 || !this.#server.listening) return;
    this.#idle = setTimeout(this.#needs.onIdle, this.#needs.idleMs);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers: given, method = '', url = '' } = request;
    const site = given['sec-fetch-site'];
    const verdict: Verdict = judge(
      {
        ...{ method, path: url, host: given.host, origin: given.origin },
        site: typeof site === 'string' ? site : undefined,
        authorization: given.authorization,
        contentType: given['content-type'],
      },
      this.#needs.token,
    );
    switch (verdict.kind) {
      case 'refuse':
        answer(response, verdict.status, { reason: verdict.reason });
        return;
      case 'page':
        this.#page(response);
        return;
      case 'watch':
        await this.#watch(response);
        return;
      case 'call':
        await this.#call(verdict.name, request, response);
        return;
    }
  }

  #page(response: ServerResponse): void {
    const nonce = randomBytes(16).toString('base64');
    response.writeHead(200, { ...headers(nonce), 'content-type': 'text/html; charset=utf-8' });
    response.end(this.#needs.page().replaceAll('{{nonce}}', nonce));
  }

  /** A line of JSON an event, for as long as the page reads. */
  async #watch(response: ServerResponse): Promise<void> {
    const client = await this.#needs.connect();
    if (!client.ok) {
      answer(response, 502, client.failure);
      return;
    }
    response.once('close', () => {
      client.value.close();
    });
    if (response.closed) client.value.close();
    response.writeHead(200, { ...headers(''), 'content-type': 'application/x-ndjson' });
    await client.value.call(
      'watch',
      { recent: RECENT },
      {
        onEvent: (event) => {
          response.write(`${JSON.stringify(event)}\n`);
          if (response.writableLength > MOST_UNREAD) response.destroy();
        },
      },
    );
    client.value.close();
    response.end();
  }

  async #call(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = served.find((each) => each === name);
    if (method === undefined) {
      answer(response, 404, { reason: 'there is nothing here' });
      return;
    }
    const body = await bodyOf(request);
    if (!body.ok) {
      answer(response, 400, body.failure);
      return;
    }
    const client = await this.#needs.connect();
    const reply = client.ok ? await callDaemon(client.value, method, body.value) : client;
    if (client.ok) client.value.close();
    answer(response, reply.ok ? 200 : 422, reply.ok ? reply.value : reply.failure);
  }
}
