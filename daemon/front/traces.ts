/** Sends a trace of each job that is over to the OpenTelemetry collector that was named for it (otlp.ts). */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../../src/base/result.ts';
import type { Config } from '../../src/config/schema.ts';
import type { JournalLine } from '../journal/record.ts';
import type { EndKind, JobWatcher } from './job-watcher.ts';
import { exportOf, spansOf, traceWish, type Target, type TraceWish } from './otlp.ts';

/** ms that ends are gathered before they are sent. */
const GATHERING = 500;
/** ms for a collector to answer; at the end of the daemon, for all of them. */
const ANSWER = 10_000;
const LAST_ANSWER = 2000;
/** Wishes of commands whose end may never be heard of, and spans on their way: the oldest go. */
const MOST_WISHES = 1000;
const MOST_SPANS = 5000;

type Batch = { readonly target: Target; readonly spans: unknown[] };

export type TraceParts = {
  readonly logger: Logger;
  readonly version: string;
  /** What is configured now. */
  readonly settings: () => Config['traces'];
};

/** Ends after which a command goes on: its trace comes with what it becomes. */
const goesOn = (how: EndKind): boolean => how === 'again';

const nothing: ReadonlyMap<string, string> = new Map();

export class Traces implements JobWatcher {
  readonly #parts: TraceParts;
  /** By job; null where the command wants none, whatever is configured. */
  readonly #wishes = new Map<string, TraceWish | null>();
  readonly #batches = new Map<string, Batch>();
  readonly #failing = new Set<string>();
  readonly #sending = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: TraceParts) {
    this.#parts = parts;
  }

  readonly decided: JobWatcher['decided'] = (line, { light, env }) => {
    if (light || env === undefined) return;
    const settings = this.#parts.settings();
    const wish = traceWish(env, settings);
    if (wish === undefined && settings.otlpEndpoint === undefined) return;
    this.#wishes.delete(line.id);
    this.#wishes.set(line.id, wish ?? null);
    const oldest = this.#wishes.keys().next();
    if (this.#wishes.size > MOST_WISHES && oldest.done !== true) this.#wishes.delete(oldest.value);
  };

  readonly ended: JobWatcher['ended'] = (line, how) => {
    if (goesOn(how)) return;
    // Of a job of the daemon before this one the environment is not known any more.
    const known = this.#wishes.get(line.id);
    const wish = known === undefined ? traceWish(nothing, this.#parts.settings()) : known;
    this.#wishes.delete(line.id);
    if (wish !== undefined && wish !== null) this.#add(line, wish);
  };

  /** Sends what is left, in a moment. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#flush(LAST_ANSWER);
    if (this.#sending.size === 0) return;
    const late = new AbortController();
    await Promise.race([
      Promise.all(this.#sending),
      delay(LAST_ANSWER, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
  }

  #add(line: JournalLine, { target, parent }: TraceWish): void {
    const key = JSON.stringify(target);
    const batch = this.#batches.get(key) ?? { target, spans: [] };
    this.#batches.set(key, batch);
    if (batch.spans.length > MOST_SPANS) return;
    batch.spans.push(...spansOf(line, parent, () => randomBytes(8).toString('hex')));
    this.#timer ??= setTimeout(() => {
      this.#flush(ANSWER);
    }, GATHERING);
  }

  #flush(deadlineMs: number): void {
    this.#timer = undefined;
    const batches = [...this.#batches.values()];
    this.#batches.clear();
    for (const batch of batches) {
      const sending = this.#send(batch, deadlineMs).finally(() => this.#sending.delete(sending));
      this.#sending.add(sending);
    }
  }

  /** A collector that does not take it is named once, until it does again; nothing is kept for it. */
  async #send({ target, spans }: Batch, deadlineMs: number): Promise<void> {
    const { logger, version } = this.#parts;
    try {
      const answer = await fetch(target.url, {
        method: 'POST',
        headers: { ...target.headers, 'content-type': 'application/json' },
        body: JSON.stringify(exportOf(spans, version, hostname())),
        signal: AbortSignal.timeout(deadlineMs),
        redirect: 'error',
      });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      this.#failing.delete(target.url);
    } catch (thrown) {
      const known = this.#failing.has(target.url);
      this.#failing.add(target.url);
      // A URL may hold a password, and fetch tells the cause one level down.
      const { origin } = new URL(target.url);
      const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
      if (!known) logger.warn(`traces cannot be sent to ${origin}: ${messageOf(cause)}`);
    }
  }
}
