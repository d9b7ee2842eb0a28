/** The bridge between stdio and the agent's socket. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileRun, openFolder } from './run-rig.ts';

let folder = '';
let binary = '';

beforeAll(() => {
  folder = openFolder();
  binary = compileRun(folder, 'plain');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function listen(path: string, serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, serve);
  server.listen(path);
  await once(server, 'listening');
  return server;
}

test('both ways are carried, and the end of one leaves the other open', async () => {
  const path = join(folder, 'both.sock');
  const server = await listen(path, (socket) => {
    const parts: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => parts.push(chunk));
    socket.on('end', () => socket.end(Buffer.concat([Buffer.from('back:'), ...parts])));
  });
  const data = randomBytes(5_000_000);
  const child = spawn(binary, ['attach', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const parts: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
  child.stdin.end(data);
  const [code] = (await once(child, 'close')) as [number];
  server.close();
  expect(code).toBe(0);
  const got = Buffer.concat(parts);
  expect(got.subarray(0, 5).toString()).toBe('back:');
  expect(got.subarray(5).equals(data)).toBe(true);
});

test('pipes carry as exactly as sockets, and cost no more than a move of pages', async () => {
  const path = join(folder, 'fast.sock');
  const size = 1 << 28;
  let received = 0;
  const server = await listen(path, (socket) => {
    socket.on('data', (chunk: Buffer) => (received += chunk.length));
    socket.on('end', () => socket.end());
  });
  const log = join(folder, 'calls');
  const traced = `head -c ${size} /dev/zero | strace -f -qq -o "$2" -e trace=read,write,splice "$0" attach "$1"`;
  const child = spawn('sh', ['-c', traced, binary, path, log], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = (await once(child, 'close')) as [number];
  server.close();
  expect([code, received]).toEqual([0, size]);
  // Nothing of it passes through the memory of the process, and it goes in pieces as large as a pipe holds.
  const calls = readFileSync(log, 'latin1').split('\n');
  const bytesBy = (call: RegExp): number =>
    calls
      .filter((line) => call.test(line))
      .reduce((sum, line) => sum + Number(/= (\d+)$/.exec(line)?.[1] ?? 0), 0);
  expect(bytesBy(/ splice\(/)).toBe(size);
  expect(bytesBy(/ write\(/)).toBe(0);
});

test('what a pipe carries arrives unchanged', async () => {
  const path = join(folder, 'pipe.sock');
  const data = randomBytes(3_000_001);
  const server = await listen(path, (socket) => socket.end(data));
  const done = spawn('sh', ['-c', '"$0" attach "$1" </dev/null | sha256sum', binary, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const parts: Buffer[] = [];
  done.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
  await once(done, 'close');
  server.close();
  const wanted = createHash('sha256').update(data).digest('hex');
  expect(Buffer.concat(parts).toString()).toContain(wanted);
});

test('the end of the socket ends the bridge although standard input stays open', async () => {
  const path = join(folder, 'end.sock');
  const server = await listen(path, (socket) => socket.end('bye'));
  const child = spawn(binary, ['attach', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
  child.stdin.destroy();
  server.close();
});

test('a reader that goes away ends the bridge', async () => {
  const path = join(folder, 'gone.sock');
  let closed: Promise<unknown> | undefined;
  const server = await listen(path, (socket) => {
    socket.on('error', () => undefined);
    closed = once(socket, 'close');
    socket.on('end', () => socket.end());
    socket.write('hello');
  });
  const child = spawn(binary, ['attach', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  await once(child, 'exit');
  await closed;
  child.stdin.destroy();
  server.close();
});

test('nobody listening is exit code 3, for a missing socket and for a dead one', async () => {
  expect(spawnSync(binary, ['attach', join(folder, 'none.sock')]).status).toBe(3);
  const path = join(folder, 'dead.sock');
  const server = await listen(path, () => undefined);
  server.unref();
  const listener = spawnSync('sh', [
    '-c',
    'exec perl -MSocket -e \'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un($ARGV[0]))\' "$0"',
    join(folder, 'bound.sock'),
  ]);
  if (listener.status === 0)
    expect(spawnSync(binary, ['attach', join(folder, 'bound.sock')]).status).toBe(3);
  server.close();
});

test('a path longer than a socket address is reached by its folder', async () => {
  const long = join(folder, 'x'.repeat(100));
  mkdirSync(long, { recursive: true });
  const deep = mkdtempSync(join(long, 'y'.repeat(100)));
  const cwd = process.cwd();
  process.chdir(deep);
  const server = await listen('agent.sock', (socket) => socket.end('deep'));
  process.chdir(cwd);
  const done = spawn(binary, ['attach', join(deep, 'agent.sock')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [data] = (await once(done.stdout, 'data')) as [Buffer];
  expect(data.toString()).toBe('deep');
  if (done.exitCode === null) await once(done, 'exit');
  server.close();
});
