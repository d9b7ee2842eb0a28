/** Serves metrics by HTTP while metrics.enabled is on; off, it holds no port, counts nothing, and has loaded nothing. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { withPort } from '../../src/base/place.ts';
import { messageOf } from '../../src/base/result.ts';
import type { Config } from '../../src/config/schema.ts';
import type { StatusReply } from '../../src/protocol/methods.ts';
import type { JobWatcher } from './job-watcher.ts';
import type { Metrics } from './metrics.ts';

export type MetricsParts = {
  readonly logger: Logger;
  readonly status: () => StatusReply;
};

type Place = { readonly address: string; readonly port: number };

const urlOf = ({ address, port }: Place): string => `http://${withPort(address, port)}/metrics`;

export class MetricsDesk implements JobWatcher {
  readonly #parts: MetricsParts;
  #metrics: Metrics | undefined;
  #server: Server | undefined;
  /** Where it should be served; undefined while it is off. */
  #wanted: Place | undefined;
  /** Where it is served. */
  #bound: Place | undefined;
  #trouble = '';
  #opening: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: MetricsParts) {
    this.#parts = parts;
  }

  readonly decided: JobWatcher['decided'] = (line, how) => {
    this.#metrics?.decided(line, how);
  };

  readonly ended: JobWatcher['ended'] = (line, how) => {
    this.#metrics?.ended(line, how);
  };

  /** For `rch status`; null while it is off. With port 0 the url is known once there is one. */
  get state(): StatusReply['metrics'] {
    const place = this.#bound ?? this.#wanted;
    if (this.#wanted === undefined || place === undefined) return null;
    const opening = this.#bound === undefined && this.#trouble === '';
    const trouble = opening ? `${urlOf(place)} is being opened` : this.#trouble;
    return { url: urlOf(place), trouble };
  }

  /** Makes it as configured now. */
  configure({
    enabled,
    prometheusAddress: address,
    prometheusPort: port,
  }: Config['metrics']): void {
    const before = this.#wanted;
    const same = before?.address === address && before.port === port;
    if (enabled ? same : before === undefined) return;
    this.#wanted = enabled ? { address, port } : undefined;
    this.#close();
    this.#trouble = '';
    this.look();
  }

  /** Called now and then: tries again where the port was taken. */
  look(): void {
    const place = this.#wanted;
    if (place === undefined || this.#bound !== undefined || this.#stopped) return;
    this.#opening ??= this.#open(place)
      .catch((thrown: unknown) => {
        this.#complain(messageOf(thrown));
      })
      .finally(() => {
        this.#opening = undefined;
        if (this.#wanted !== place) this.look();
      });
  }

  stop(): void {
    this.#stopped = true;
    this.#wanted = undefined;
    this.#close();
  }

  async #open(place: Place): Promise<void> {
    const [{ createServer }, { Metrics }] = await Promise.all([
      import('node:http'),
      import('./metrics.ts'),
    ]);
    if (this.#wanted !== place) return;
    this.#metrics ??= new Metrics(this.#parts.status);
    const server = createServer((request, response) => {
      void this.#answer(request, response);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: place.address, port: place.port }, resolve);
    });
    const at = server.address();
    if (this.#wanted !== place || at === null || typeof at === 'string') {
      server.close();
      return;
    }
    server.on('error', (error) => {
      this.#parts.logger.warn(`metrics: ${error.message}`);
    });
    this.#server = server;
    this.#bound = { ...place, port: at.port };
    this.#trouble = '';
    this.#parts.logger.info(`metrics are at ${urlOf(this.#bound)}`);
  }

  #close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = undefined;
    this.#bound = undefined;
    // Another port goes on with the same numbers.
    if (this.#wanted !== undefined) return;
    this.#metrics?.stop();
    this.#metrics = undefined;
  }

  /** Said once for each reason: it is tried again and again. */
  #complain(reason: string): void {
    const text = `metrics cannot be served: ${reason} (metrics.prometheus_port)`;
    if (text !== this.#trouble) this.#parts.logger.warn(text);
    this.#trouble = text;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const metrics = this.#metrics;
    const [path] = (request.url ?? '').split('?', 1);
    if (metrics === undefined || path !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('see /metrics\n');
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    try {
      const text = await metrics.text();
      response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
    } catch (thrown) {
      this.#parts.logger.error(`metrics could not be told: ${messageOf(thrown)}`);
      response.writeHead(500).end();
    }
  }
}
