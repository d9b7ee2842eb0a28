import { Duplex } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AgentClient } from '../../../daemon/link/agent-client.ts';
import type { AgentConnection } from '../../../daemon/transport/transport.ts';
import { nowNs } from '../../../src/base/clock.ts';
import { fail, ok } from '../../../src/base/result.ts';
import { AGENT_PROTOCOL, agentMessages, type AgentMessage } from '../../../src/protocol/agent.ts';
import { encode } from '../../../src/protocol/codec.ts';
import { FrameReader } from '../../../src/protocol/frames.ts';
import { agentFactsLikeHere } from '../front/rig.ts';

const BEAT_MS = 20;

const facts = await agentFactsLikeHere([]);

/** No beat is missed because this machine is busy: time passes only where a test lets it. */
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
});

const passes = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** Lets time pass until it is so. */
async function until(what: () => boolean): Promise<void> {
  for (let ms = 0; !what(); ms += 5) {
    if (ms > 60_000) throw new Error('in a minute it never was so');
    await passes(5);
  }
}

/** An agent's end of a stream: it says welcome and answers pings, as long as it is `awake`. */
class AgentEnd extends Duplex {
  awake = true;
  /** Contents that came, by the number of their first byte. */
  readonly blobs: number[] = [];
  readonly #reader = new FrameReader(agentMessages);
  readonly #welcome: Buffer;
  readonly #pongMs: number;

  constructor(pongMs: number) {
    super();
    this.#pongMs = pongMs;
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
      this.say({
        type: 'welcome',
        protocol: AGENT_PROTOCOL,
        version: 'x',
        now,
        json: this.#welcome,
      });
    if (message.type === 'blob') this.blobs.push(message.data[0] ?? -1);
    this.asked(message);
    if (message.type !== 'ping') return;
    setTimeout(() => {
      if (!this.destroyed) this.say({ type: 'pong', request: message.request, now });
    }, this.#pongMs);
  }

  /** What a test answers. */
  asked: (message: AgentMessage) => void = () => undefined;

  say(message: AgentMessage): void {
    this.push(encode(agentMessages, message));
  }
}

const clients: AgentClient[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(clients.splice(0).map((client) => client.stop()));
});

type Way = {
  readonly striped: boolean;
  readonly pongMs: number;
  readonly most: number;
  readonly stallMs?: number;
};

const NEAR: Way = { striped: false, pongMs: 0, most: 10 };

/**
 * A client, what it tells in order, and the streams of its agent; `opening` sees each stream before it is given. The way
 * takes so many ms for there and back, and has so many streams at most.
 */
function start(
  opening: (streams: readonly AgentEnd[]) => Promise<void> = () => Promise.resolve(),
  { striped, pongMs, most, ...more }: Way = NEAR,
) {
  const told: string[] = [];
  const streams: AgentEnd[] = [];
  const connection = (): AgentConnection => ({
    agent: '',
    striped,
    openStream: async () => {
      if (streams.length === most) return fail('no more channels');
      const stream = new AgentEnd(pongMs);
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
    heartbeatMs: Math.max(BEAT_MS, 20 * pongMs),
    ...more,
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
  const { told } = start(async (streams) => {
    if (streams.length !== 2) return;
    // The way breaks while its second stream is opened.
    streams[0]?.destroy();
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  await until(() => told.at(-1) === 'connected');
  // A session that is over would be found silent after so many beats.
  await passes(8 * BEAT_MS);
  expect(told).toEqual(['connecting', 'disconnected', 'connecting', 'connected']);
});

it('gives up an agent that stays silent', async () => {
  const { told, streams } = start(() => Promise.resolve());
  await until(() => told.at(-1) === 'connected');
  for (const stream of streams) stream.awake = false;
  await until(() => told.at(-1) === 'disconnected');
  expect(told.filter((each) => each.startsWith('silent'))).not.toEqual([]);
});

/** Above one round trip of the longest way of these tests, ms: whatever is opened is open by then. */
const OPENED_MS = 60;

it.each([
  ['one on a short way', { striped: true, pongMs: 0, most: 10 }, 1],
  ['four on a long way', { striped: true, pongMs: 50, most: 10 }, 4],
  ['as many as the worker admits', { striped: true, pongMs: 50, most: 3 }, 2],
  ['one where a stream is a process that costs', { striped: false, pongMs: 50, most: 10 }, 1],
])('opens bulk streams: %s', async (_, way, bulk) => {
  const { told, streams } = start(undefined, way);
  await until(() => told.at(-1) === 'connected');
  await passes(OPENED_MS);
  expect(streams).toHaveLength(1 + bulk);
  expect(told).toEqual(['connecting', 'connected']);
});

function blob(number: number, bytes: number): Extract<AgentMessage, { type: 'blob' }> {
  const data = Buffer.alloc(bytes, number);
  const [hash, base] = [Buffer.alloc(32), Buffer.alloc(0)];
  return { type: 'blob', hash, size: BigInt(bytes), offset: 0n, codec: 0, base, data };
}

it('spreads blobs over its bulk streams, and loses all with one of them', async () => {
  const { client, told, streams } = start(undefined, { striped: true, pongMs: 50, most: 10 });
  await until(() => streams.length === 5);
  await passes(1);
  const [control, ...bulk] = streams;
  // From now on nothing that is written is taken.
  for (const stream of bulk) stream.cork();
  const sent: Promise<{ readonly ok: boolean }>[] = [];
  for (let number = 1; number <= 4; number++) sent.push(client.sendBlob(blob(number, 1 << 20)));
  expect((await Promise.all(sent.slice(0, 3))).every(({ ok }) => ok)).toBe(true);
  expect(bulk.filter((stream) => stream.writableNeedDrain)).toHaveLength(4);
  for (const stream of bulk) stream.uncork();
  expect((await sent[3])?.ok).toBe(true);
  expect(bulk.map(({ blobs }) => blobs)).toEqual([[1], [2], [3], [4]]);
  expect(control?.blobs).toEqual([]);
  bulk[2]?.destroy();
  await until(() => told.includes('disconnected'));
  expect(streams.slice(0, 5).every(({ destroyed }) => destroyed)).toBe(true);
});

it('gives up a request that is never answered though others are, and none that moves', async () => {
  const stallMs = 20 * BEAT_MS;
  const { client, told, streams } = start(undefined, { ...NEAR, stallMs });
  await until(() => told.at(-1) === 'connected');
  const [control, bulk] = streams;
  if (control === undefined || bulk === undefined) throw new Error('there are no streams');
  const hash = Buffer.alloc(32, 7);
  const piece = (offset: bigint): Extract<AgentMessage, { type: 'blob' }> => ({
    ...{ type: 'blob', hash, size: 100n, offset, codec: 0, base: Buffer.alloc(0) },
    data: Buffer.from('x'),
  });
  const lack = { hashes: Buffer.concat([Buffer.alloc(32, 9), hash]), partial: Buffer.alloc(16) };
  control.asked = (message) => {
    if (message.type === 'sync')
      control.say({ type: 'syncNeed', request: message.request, ...lack });
  };
  const job = Buffer.alloc(16);
  const never = client.request((request) => ({ type: 'collect', request, bytes: 1n }));
  const other = Buffer.alloc(32, 8);
  const nor = client.request((request) => ({ type: 'fetch', request, job, hashes: other }));
  const moving: number[] = [];
  const ask = (build: (request: number) => AgentMessage): ReturnType<typeof client.request> =>
    client.request(
      (request) => {
        moving.push(request);
        return build(request);
      },
      (answer) => answer.type === 'syncNeed',
    );
  const fetched = ask((request) => ({ type: 'fetch', request, job, hashes: hash }));
  const synced = ask((request) => ({
    ...{ type: 'sync', request, root: 'r', path: Buffer.from('/r'), policy: 0, from: 0n, to: 1n },
    ...{ whole: true, changes: Buffer.alloc(0), last: true },
  }));
  const given = { up: false };
  void Promise.all([never, nor]).then(() => (given.up = true));
  for (let at = 0n; !given.up; at += 1n) {
    // Others are served meanwhile, and so are two of these.
    control.say({ type: 'vitals', json: Buffer.from('{}') });
    bulk.say(piece(at));
    await client.sendBlob(piece(at));
    await passes(BEAT_MS);
  }
  for (const answer of [await never, await nor])
    expect(answer).toMatchObject({
      ok: false,
      failure: { reason: expect.stringMatching(/gave no answer/) as string },
    });
  for (const request of moving) control.say({ type: 'fetched', request });
  expect([await fetched, await synced].map(({ ok: well }) => well)).toEqual([true, true]);
});
