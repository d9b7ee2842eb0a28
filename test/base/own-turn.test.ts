import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { ownTurn } from '../../src/base/own-turn.ts';

it('lets what comes in be heard between two pieces of work that wait for their turn', async () => {
  const order: string[] = [];
  const server = createServer((socket) => {
    order.push('heard');
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const work = async (name: string): Promise<void> => {
    await ownTurn();
    order.push(name);
    // Somebody comes while it keeps the loop.
    if (name === 'first') connect(port, '127.0.0.1').on('error', () => undefined);
    const till = performance.now() + 50;
    while (performance.now() < till);
  };
  await Promise.all(['first', 'second', 'third', 'fourth'].map(work));
  server.close();
  expect(order.filter((each) => each !== 'heard')).toEqual(['first', 'second', 'third', 'fourth']);
  expect(order.indexOf('heard')).toBeLessThan(order.indexOf('fourth'));
});
