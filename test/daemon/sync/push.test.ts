import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { AgentClient } from '../../../daemon/link/agent-client.ts';
import { Push, type PushPeer } from '../../../daemon/sync/push.ts';
import { SharedRoot } from '../../../daemon/sync/shared-root.ts';
import { skipTo } from '../../../daemon/transport/marker.ts';
import { fail, ok } from '../../../src/base/result.ts';
import { AGENT_MAGIC } from '../../../src/protocol/agent.ts';
import { BlobPacker } from '../../../src/protocol/blob-packer.ts';
import type { PlannedRoot } from '../../../src/protocol/ipc.ts';
import { type RunningAgent, startAgent } from '../../rig/agent-peer.ts';
import { folder, hasher, helper, usesHelper, value } from '../../tree/rig.ts';

usesHelper();

let agent: RunningAgent;
let client: AgentClient;

/** A client that is connected to the agent's socket. */
async function connected(): Promise<AgentClient> {
  const made: { client?: AgentClient } = {};
  await new Promise<void>((resolve) => {
    made.client = new AgentClient({
      connect: () => {
        const sockets = new Set<ReturnType<typeof connect>>();
        return Promise.resolve(
          ok({
            agent: 'test',
            striped: false,
            openStream: async () => {
              const socket = connect(agent.socket);
              sockets.add(socket);
              await once(socket, 'connect');
              const begun = await skipTo(socket, AGENT_MAGIC, { ms: 30_000 });
              return begun.ok ? ok(socket) : begun;
            },
            close: () => {
              for (const socket of sockets) socket.destroy();
            },
            closed: new Promise<string>(() => undefined),
          }),
        );
      },
      hello: { workstation: 'station', storeLimit: 1e10, ownerDeadline: 60, clockShift: '0' },
      version: 'test',
      heartbeatMs: 10_000,
      events: {
        silent: () => undefined,
        clockSet: () => undefined,
        connecting: () => undefined,
        connected: () => {
          resolve();
        },
        disconnected: () => undefined,
        message: () => undefined,
        blob: () => Promise.resolve(),
      },
    });
    made.client.start();
  });
  if (made.client === undefined) throw new Error('no client');
  return made.client;
}

beforeEach(async () => {
  agent = await startAgent();
  client = await connected();
});
afterEach(async () => {
  await client.stop();
  await agent.stop();
});

/** A root here and its tree on the agent's side. */
function shared(): {
  root: SharedRoot;
  path: string;
  there: (name: string) => string;
  plan: PlannedRoot;
} {
  const top = folder();
  const path = join(top, 'project');
  fs.mkdirSync(path);
  const plan: PlannedRoot = { path, policy: 'project', skip: [], only: [], cold: [] };
  const root = SharedRoot.open(plan, {
    helper: helper(),
    hasher: hasher(),
    folder: join(top, 'trees'),
  });
  onTestFinished(() => root.tree.close());
  const there = (name: string): string => join(agent.folder, 'trees/station', root.key, 't', name);
  return { root, path, there, plan };
}

/** What a sync sent, as over a way of which nothing is known yet. */
async function sync(
  of: { root: SharedRoot; plan: PlannedRoot },
  options: { whole?: boolean; sendBlob?: PushPeer['sendBlob'] } = {},
): Promise<{ push: Push; result: Awaited<ReturnType<Push['run']>> }> {
  const snapshot = value(await of.root.look());
  const peer: PushPeer = {
    request: (build, partial) => client.request(build, partial),
    withdraw: (request) => client.send({ type: 'withdraw', request }),
    sendBlob: options.sendBlob ?? ((blob) => client.sendBlob(blob)),
    ours: () => true,
    sendAhead: (blob) => Promise.resolve(client.send(blob) ? ok(undefined) : fail('lost')),
    packer: new BlobPacker(3),
    progress: () => undefined,
  };
  const outgoing = of.root.outgoing(snapshot, [], of.plan);
  const push = new Push(peer, { root: of.root, outgoing }, { whole: options.whole ?? false });
  return { push, result: await push.run() };
}

const SIZE = 20_000_000;

test('of a large file that changed a little, little is sent, and it arrives right', async () => {
  const at = shared();
  const file = join(at.path, 'big');
  const base = randomBytes(SIZE);
  fs.writeFileSync(file, base);
  expect((await sync(at)).push.sent).toBeGreaterThanOrEqual(SIZE);
  const scattered = Buffer.from(base);
  for (let edit = 0; edit < 20; edit++)
    randomBytes(SIZE / 2000).copy(scattered, edit * (SIZE / 20) + 7);
  for (const [data, most] of [
    [Buffer.concat([base, randomBytes(SIZE / 100)]), 1.5 * (SIZE / 100)],
    [Buffer.concat([base.subarray(0, 3000), randomBytes(100), base.subarray(3000)]), SIZE / 100],
    [scattered, 4 * (SIZE / 100)],
    [Buffer.concat([scattered.subarray(9), randomBytes(100)]), SIZE / 100],
  ] as const) {
    fs.writeFileSync(file, data);
    // The agent knows what stands where, also when nothing is known of it here.
    if (data.length === SIZE + 91) at.root.distrust();
    const { push, result } = await sync(at);
    expect(result.ok && result.value !== undefined).toBe(true);
    expect(fs.readFileSync(at.there('big')).equals(data)).toBe(true);
    expect(push.sent).toBeLessThan(most);
  }
});

test('a base that is not what it seemed leads to a whole send, not to a wrong file', async () => {
  const at = shared();
  const file = join(at.path, 'big');
  const base = randomBytes(SIZE);
  fs.writeFileSync(file, base);
  await sync(at);
  const data = Buffer.concat([Buffer.from('new'), base]);
  fs.writeFileSync(file, data);
  const { result } = await sync(at, {
    sendBlob: (blob) => {
      if (blob.codec !== 2) return client.sendBlob(blob);
      const shifted = Buffer.from(blob.data);
      shifted.writeBigUInt64LE(shifted.readBigUInt64LE(8) - 1n, 8);
      return client.sendBlob({ ...blob, data: shifted });
    },
  });
  expect(result.ok).toBe(false);
  expect(!result.ok && result.failure.patched).toBe(true);
  expect(fs.readFileSync(at.there('big')).equals(base)).toBe(true);
  at.root.distrust();
  const again = await sync(at, { whole: true });
  expect(again.push.sent).toBeGreaterThanOrEqual(SIZE);
  expect(fs.readFileSync(at.there('big')).equals(data)).toBe(true);
});

test('the holes of a file are not sent, and are holes there', async () => {
  const at = shared();
  const file = join(at.path, 'sparse');
  fs.writeFileSync(file, 'begin');
  fs.truncateSync(file, 300_000_000);
  fs.appendFileSync(file, 'end');
  const { push } = await sync(at);
  expect(push.sent).toBeLessThan(100_000);
  const info = fs.statSync(at.there('sparse'));
  expect(info.size).toBe(300_000_003);
  expect(info.blocks * 512).toBeLessThan(1_000_000);
});
