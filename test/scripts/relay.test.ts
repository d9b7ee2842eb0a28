import { createServer, connect, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Relay } from '../rig/fleet.ts';

let server: Server;
let relay: Relay;

beforeEach(async () => {
  // Echoes; a first byte `s` asks for 1 MB.
  server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => {
      socket.write(data.toString() === 's' ? Buffer.alloc(1e6) : data);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  relay = await Relay.open({
    host: '127.0.0.1',
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
  });
});
afterEach(async () => {
  await relay.close();
  server.close();
});

function client(): Socket {
  return connect({ host: '127.0.0.1', port: relay.port, noDelay: true });
}

/** Settles when a connection is over, however that came. */
function end(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('close', () => {
      resolve();
    });
  });
}

async function bytes(socket: Socket, count: number): Promise<void> {
  for (let left = count; left > 0;) left -= ((await once(socket, 'data')) as [Buffer])[0].length;
}

test('a delay counts once in each direction', async () => {
  await relay.command({ delay: 50 });
  const socket = client();
  const began = performance.now();
  socket.write('x');
  await bytes(socket, 1);
  expect(performance.now() - began).toBeGreaterThan(95);
  socket.destroy();
});

test('a rate bounds what passes in a second', async () => {
  await relay.command({ rate: 2e6 });
  const socket = client();
  const began = performance.now();
  socket.write('s');
  await bytes(socket, 1e6);
  expect(performance.now() - began).toBeGreaterThan(400);
  socket.destroy();
});

test('a cut ends connections at once, after as many bytes as were asked for', async () => {
  const socket = client();
  await relay.command({ cutAfter: 300_000 });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  let received = 0;
  socket.on('data', (data) => {
    received += data.length;
  });
  socket.write('s');
  await closed;
  expect(received).toBeLessThan(1e6);
  const next = client();
  next.write('x');
  await bytes(next, 1);
  next.destroy();
});

test('a cut on the way there comes after as many bytes, and nobody gets through who comes after it', async () => {
  const socket = client();
  socket.write('x');
  await bytes(socket, 1);
  await relay.command({ cutAfterSent: 300_000, refuse: true });
  const closed = end(socket.resume());
  socket.write(Buffer.alloc(1e6));
  await closed;
  const { sent, cutAfterSent } = await relay.command({});
  expect(cutAfterSent).toBe(0);
  expect(sent).toBeLessThan(1e6);
  const next = client();
  await end(next);
  await relay.command({ refuse: false });
});

test('what is frozen goes on where it stopped', async () => {
  const socket = client();
  socket.write('x');
  await bytes(socket, 1);
  await relay.command({ frozen: true });
  socket.write('abc');
  expect((await relay.command({})).received).toBe(1);
  const thawed = bytes(socket, 3);
  await relay.command({ frozen: false });
  await thawed;
  socket.destroy();
});
