/** How much a worker's connection moves: bytes that go there, through cat(1), and come back. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Layout } from '../../base/layout.ts';
import { argvFor, type ShellPlace } from './remote-shell.ts';

/** ms of sending, bytes at most, and ms for the whole of it. */
const SEND_MS = 1000;
const MOST_BYTES = 64 * 1024 * 1024;
const WHOLE_MS = 30_000;
const PIECE = 64 * 1024;

/** Bytes a second there, and back at the same time; undefined where it cannot be measured. */
export async function measureRate(place: ShellPlace, layout: Layout): Promise<number | undefined> {
  if (place.transport === 'embedded') return undefined;
  const argv = await argvFor(place, 'cat', { layout });
  if (!argv.ok) return undefined;
  const [program = '', ...args] = argv.value;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), WHOLE_MS);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve();
    });
    child.once('error', () => {
      resolve();
    });
  });
  let received = 0;
  const answered = new Promise<void>((resolve) => {
    child.stdout.once('data', () => {
      resolve();
    });
  });
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (data: Buffer) => {
    received += data.length;
  });
  // The first byte waits for the connection to be made.
  child.stdin.write('x');
  await Promise.race([answered, ended]);
  const sent = await pump(child.stdin, ended);
  const from = performance.now();
  await ended;
  clearTimeout(timer);
  const seconds = (performance.now() - from + sent.ms) / 1000;
  return received < sent.bytes || sent.bytes === 0 ? undefined : sent.bytes / seconds;
}

/** Sends for a while, as fast as it goes; what it cost, without what is still on its way. */
async function pump(
  to: NodeJS.WritableStream,
  ended: Promise<void>,
): Promise<{ readonly bytes: number; readonly ms: number }> {
  const piece = randomBytes(PIECE);
  const begun = performance.now();
  const state = { over: false };
  void ended.then(() => {
    state.over = true;
  });
  let bytes = 0;
  while (bytes < MOST_BYTES && performance.now() - begun < SEND_MS && !state.over) {
    bytes += piece.length;
    if (!to.write(piece)) await Promise.race([once(to, 'drain').catch(() => undefined), ended]);
  }
  to.end();
  return { bytes: state.over ? 0 : bytes, ms: performance.now() - begun };
}
