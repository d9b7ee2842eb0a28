import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { AgentStream } from '../../src/agent/stream.ts';
import { agentMessages } from '../../src/protocol/agent.ts';
import { encode } from '../../src/protocol/codec.ts';

const server = createServer();
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

async function pair(): Promise<{ here: Socket; there: Socket }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const there = connect(port, '127.0.0.1');
  const [here] = (await once(server, 'connection')) as [Socket];
  sockets.push(here, there);
  return { here, there };
}

it('sends nothing into a socket that is gone while a piece is still dealt with, and waits for nothing', async () => {
  const { here, there } = await pair();
  let begun = (): void => undefined;
  const began = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const stream = new AgentStream(here, () => {
    begun();
    return new Promise(() => undefined);
  });
  there.write(encode(agentMessages, { type: 'ping', request: 1 }));
  await began;
  expect(stream.closed).toBe(false);
  here.destroy();
  expect(stream.closed).toBe(true);
  const data = Buffer.alloc(1 << 20);
  const blob = {
    type: 'blob',
    hash: data,
    size: 1n,
    offset: 0n,
    codec: 0,
    base: data,
    data,
  } as const;
  expect(await stream.sendAndDrain(blob)).toBe(false);
});
