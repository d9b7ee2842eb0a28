import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../../daemon/transport/connect.ts';
import { layoutFor, type Layout } from '../../../src/base/layout.ts';
import { workerConfig, type WorkerConfig } from '../../../src/config/worker-schema.ts';
import { AGENT_PROTOCOL, agentMessages, type AgentMessage } from '../../../src/protocol/agent.ts';
import { encode } from '../../../src/protocol/codec.ts';
import { agentFacts, type AgentFacts } from '../../../src/protocol/facts.ts';
import { FrameReader } from '../../../src/protocol/frames.ts';
import { Fleet, knownHostsOf, noFleet } from '../../rig/fleet.ts';
import { sshWorker, valueOf } from './standin.ts';
import { writeFileSync, mkdirSync } from 'node:fs';

const lib = join(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))), 'dist', 'lib');

async function welcome(stream: Duplex): Promise<AgentFacts> {
  const json = Buffer.from(
    JSON.stringify({ workstation: 'test', storeLimit: 1e9, ownerDeadline: 10 }),
  );
  stream.write(
    encode(agentMessages, {
      type: 'hello',
      protocol: AGENT_PROTOCOL,
      version: '0',
      session: Buffer.alloc(16, 1),
      bulk: false,
      json,
    }),
  );
  const reader = new FrameReader(agentMessages);
  const messages: AgentMessage[] = [];
  while (messages.length === 0) {
    const [chunk] = (await once(stream, 'data')) as [Buffer];
    messages.push(...valueOf(reader.push(chunk)));
  }
  const [first] = messages;
  if (first?.type !== 'welcome') throw new Error(`not a welcome: ${first?.type ?? ''}`);
  return agentFacts.parse(JSON.parse(first.json.toString('utf8')));
}

describe.skipIf(!existsSync(join(lib, 'rch-fs')))('the real agent', () => {
  let root: string;
  let layout: Layout;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'rch-transport-'));
    layout = layoutFor({ HOME: root }, join(root, 'home'));
    cpSync(lib, layout.lib, { recursive: true });
    mkdirSync(layout.config, { recursive: true });
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  async function factsOf(worker: WorkerConfig): Promise<AgentFacts> {
    const connection = valueOf(await connect(worker, { layout }));
    const facts = await welcome(valueOf(await connection.openStream()));
    connection.close();
    await connection.closed;
    return facts;
  }

  test('answers here as the embedded one', async () => {
    const facts = await factsOf(workerConfig.parse({ id: 'here', transport: 'embedded' }));
    expect(facts.folder).toBe(join(layout.cache, 'embedded'));
  });

  describe.skipIf(noFleet !== undefined)('on a worker', () => {
    let fleet: Fleet;
    beforeAll(async () => {
      fleet = await Fleet.up('agent', 1, { bare: 1 });
      writeFileSync(
        join(layout.config, 'known_hosts'),
        fleet.workers.map((worker) => knownHostsOf(worker)).join(''),
      );
    }, 900_000);
    afterAll(async () => {
      await fleet.release();
    });

    test('answers from a bare worker, on our Node, in the account of the worker', async () => {
      const worker = fleet.worker(1);
      const facts = await factsOf(sshWorker(worker));
      expect(facts.user).toBe(worker.user);
      expect(facts.uid).toBe(worker.uid);
      expect(facts.node).toContain(process.versions.node);
      expect(facts.tools.some((tool) => tool.name === 'gcc')).toBe(false);
      expect(facts.sandbox.method).toBe('namespaces');
    });

    test('knows the tools of a worker that has some, and can make namespaces there', async () => {
      const facts = await factsOf(sshWorker(fleet.worker(0)));
      expect(facts.hostname).toBe('worker1');
      expect(facts.packageManager).toBe('dpkg');
      expect(facts.sandbox.method).toBe('namespaces');
    });
  });
});
