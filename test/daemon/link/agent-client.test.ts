import { Duplex } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { AgentClient } from '../../../daemon/link/agent-client.ts';
import type { AgentConnection } from '../../../daemon/transport/transport.ts';
import { nowNs } from '../../../src/base/clock.ts';
import { ok } from '../../../src/base/result.ts';
import { AGENT_PROTOCOL, agentMessages, type AgentMessage } from '../../../src/protocol/agent.ts';
import { encode } from '../../../src/protocol/codec.ts';
import { FrameReader } from '../../../src/protocol/frames.ts';
import { agentFactsLikeHere } from '../front/rig.ts';

const BEAT_MS = 20;

/** An agent's end of a stream: it says welcome and answers pings, as long as it is `awake`. */
class AgentEnd extends Duplex {
  awake = true;
  readonly #reader = new FrameReader(agentMessages);
  readonly #welcome: Buffer;

  constructor(facts: object) {
    super();
    this.#welcome = Buffer.from(JSON.stringify(facts));
  }

  override _read(): void {
    // What there is, is pushed.
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    const messages = this.#reader.push(Buffer.from(chunk));
    if (messages.ok) for (const message of messages.value) this.#answer(message);
    done();
  }

  #answer(message: AgentMessage): void {
    if (!this.awake) return;
    const now = nowNs();
    if (message.type === 'hello' && !message.bulk)
      this.#say({
        type: 'welcome',
        protocol: AGENT_PROTOCOL,
        version: 'x',
        now,
        json: this.#welcome,
      });
    if (message.type === 'ping') this.#say({ type: 'pong', request: message.request, now });
  }

  #say(message: AgentMessage): void {
    this.push(encode(agentMessages, message));
  }
}

const clients: AgentClient[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.stop()));
});

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** A client, what it tells in order, and the streams of its agent; `opening` sees each stream before it is given. */
async function start(opening: (streams: readonly AgentEnd[]) => Promise<void>) {
  const facts = await agentFactsLikeHere([]);
  const told: string[] = [];
  const streams: AgentEnd[] = [];
  const connection = (): AgentConnection => ({
    agent: '',
    openStream: async () => {
      const stream = new AgentEnd(facts);
      streams.push(stream);
      await opening(streams);
      return ok(stream);
    },
    close: () => {
      for (const stream of streams) stream.destroy();
    },
    closed: new Promise(() => undefined),
  });
  const tell = (what: string) => () => void told.push(what);
  const client = new AgentClient({
    connect: () => Promise.resolve(ok(connection())),
    hello: { tools: [], env: {} } as never,
    version: 'x',
    heartbeatMs: BEAT_MS,
    events: {
      connecting: tell('connecting'),
      connected: tell('connected'),
      disconnected: tell('disconnected'),
      silent: (missed) => told.push(`silent ${missed}`),
      clockSet: tell('clock'),
      message: tell('message'),
      blob: () => Promise.resolve(),
    },
  });
  clients.push(client);
  client.start();
  return { client, told, streams };
}

it('leaves nothing behind of a connection that is lost before it stands', async () => {
  const { told } = await start(async (streams) => {
    if (streams.length !== 2) return;
    // The way breaks while its second stream is opened.
    streams[0]?.destroy();
    await pause(5);
  });
  await expect.poll(() => told.at(-1), { timeout: 5000 }).toBe('connected');
  // A session that is over would be found silent after so many beats.
  await pause(8 * BEAT_MS);
  expect(told).toEqual(['connecting', 'disconnected', 'connecting', 'connected']);
});

it('gives up an agent that stays silent', async () => {
  const { told, streams } = await start(() => Promise.resolve());
  await expect.poll(() => told.at(-1), { timeout: 5000 }).toBe('connected');
  for (const stream of streams) stream.awake = false;
  await expect.poll(() => told.at(-1), { timeout: 5000 }).toBe('disconnected');
  expect(told.filter((each) => each.startsWith('silent'))).not.toEqual([]);
});
