#!/usr/bin/env node
// A TCP relay that makes a network worse on command: adds delay, limits the rate, cuts, freezes.
//
//   node scripts/relay.mjs --to HOST:PORT [--listen HOST:PORT] [--control SOCKET] [--delay MS] [--rate BYTES/S]
//
// Prints {"port":N} when it listens and ends with its standard input (when that is a pipe) or by a signal. On the
// control socket each line is a JSON command, answered by a line with the state:
//   {"delay":MS}            one way, for what arrives from now on
//   {"rate":BYTES}          bytes per second and direction; 0 is no limit
//   {"cut":true}            closes every connection at once, what waits is lost; new ones are admitted
//   {"cutAfter":BYTES}      cuts once this many more bytes have passed towards the client
//   {"cutAfterSent":BYTES}  the same towards the server
//   {"frozen":true|false}   holds all bytes back, connections stay
//   {"refuse":true|false}   resets new connections
//   {}                      only asks
import { createServer, connect } from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

/** Bytes that may wait in the relay for each direction of a connection, before it stops reading. */
const WAITING = 1 << 20;
/** Bytes that a way holds for each ms of its delay beyond that: those of a line of 1 Gbit/s. */
const LINE = 125_000;

const { values } = parseArgs({
  options: {
    to: { type: 'string' },
    listen: { type: 'string', default: '127.0.0.1:0' },
    control: { type: 'string' },
    delay: { type: 'string', default: '0' },
    rate: { type: 'string', default: '0' },
  },
});
if (values.to === undefined) {
  process.stderr.write('relay: --to HOST:PORT is missing\n');
  process.exit(2);
}

const state = {
  delay: Number(values.delay),
  rate: Number(values.rate),
  frozen: false,
  refuse: false,
  cutAfter: 0,
  cutAfterSent: 0,
  sent: 0,
  received: 0,
  accepted: 0,
};
const connections = new Set();

function held() {
  return WAITING + state.delay * LINE;
}

function endpoint(text) {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
}

/** One direction of a connection: chunks wait until they are due, then go out as fast as the rate lets them. */
class Direction {
  constructor(from, to, counter) {
    this.from = from;
    this.to = to;
    this.counter = counter;
    this.queue = [];
    this.waiting = 0;
    this.timer = undefined;
    this.freeAt = 0;
    this.ended = false;
    from.on('data', (data) => {
      this.queue.push({ data, due: performance.now() + state.delay });
      this.waiting += data.length;
      if (this.waiting > held()) from.pause();
      this.pump();
    });
    from.on('end', () => {
      this.ended = true;
      this.pump();
    });
    to.on('drain', () => this.pump());
  }

  pump() {
    clearTimeout(this.timer);
    while (!state.frozen && !this.to.destroyed && !this.to.writableNeedDrain) {
      const next = this.queue[0];
      if (next === undefined) break;
      const wait = Math.max(next.due, this.freeAt) - performance.now();
      if (wait > 0) {
        this.timer = setTimeout(() => this.pump(), wait);
        return;
      }
      this.send(next);
    }
    if (this.ended && this.queue.length === 0) this.to.end();
  }

  send(next) {
    // With a limit, in slices of a hundredth of a second, so that the rate is even.
    const slice =
      state.rate > 0
        ? Math.min(next.data.length, Math.max(1024, state.rate / 100))
        : next.data.length;
    const part = next.data.subarray(0, slice);
    if (part.length === next.data.length) this.queue.shift();
    else next.data = next.data.subarray(part.length);
    this.waiting -= part.length;
    if (state.rate > 0)
      this.freeAt = Math.max(this.freeAt, performance.now()) + (part.length / state.rate) * 1000;
    state[this.counter] += part.length;
    this.to.write(part);
    if (this.waiting < held() / 2) this.from.resume();
    const left = this.counter === 'received' ? 'cutAfter' : 'cutAfterSent';
    if (state[left] > 0) {
      state[left] = Math.max(0, state[left] - part.length);
      if (state[left] === 0) cut();
    }
  }
}

function cut() {
  for (const connection of connections) connection.close();
}

const server = createServer({ allowHalfOpen: true }, (client) => {
  if (state.refuse) {
    client.resetAndDestroy();
    return;
  }
  state.accepted += 1;
  const target = connect({ ...endpoint(values.to), allowHalfOpen: true });
  client.setNoDelay(true);
  target.setNoDelay(true);
  const connection = {
    directions: [new Direction(client, target, 'sent'), new Direction(target, client, 'received')],
    close() {
      connections.delete(connection);
      for (const direction of connection.directions) clearTimeout(direction.timer);
      // Not resetAndDestroy, which first delivers all that waits.
      client.destroy();
      target.destroy();
    },
  };
  connections.add(connection);
  for (const socket of [client, target]) {
    socket.on('error', () => connection.close());
    socket.on('close', () => {
      if (client.destroyed && target.destroyed) connections.delete(connection);
    });
  }
});

function command(line) {
  const order = JSON.parse(line);
  for (const key of ['delay', 'rate', 'frozen', 'refuse', 'cutAfter', 'cutAfterSent'])
    if (key in order) state[key] = order[key];
  if (order.cut === true) cut();
  for (const connection of connections)
    for (const direction of connection.directions) direction.pump();
  return { ...state, connections: connections.size };
}

if (values.control !== undefined) {
  createServer((socket) => {
    socket.on('error', () => socket.destroy());
    createInterface({ input: socket }).on('line', (line) => {
      let answer;
      try {
        answer = command(line);
      } catch (thrown) {
        answer = { error: String(thrown) };
      }
      socket.write(`${JSON.stringify(answer)}\n`);
    });
  }).listen(values.control);
}
server.listen(endpoint(values.listen), () => {
  process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`);
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
