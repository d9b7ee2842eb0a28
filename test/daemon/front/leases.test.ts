import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { House, type Launcher } from './rig.ts';

const limit = availableParallelism();
let house: House;
let running: Launcher[];

/** Takes every lease there is. */
async function fill(): Promise<void> {
  for (let count = 0; count < limit; count++) {
    const launcher = await house.ask(['make', `heavy-${count}`]);
    await launcher.expect('ack');
    expect((await launcher.expect('local')).lease).not.toBe(0n);
    running.push(launcher);
  }
}

beforeEach(async () => {
  house = new House();
  running = [];
  await house.start();
  await fill();
});
afterEach(async () => {
  await house.dispose();
});

test('heavy commands beyond the limit wait in order, with words, until a lease ends', async () => {
  const first = await house.ask(['make', 'first']);
  await first.expect('ack');
  expect(await first.next()).toMatchObject({ type: 'wait' });
  const second = await house.ask(['make', 'second']);
  await second.expect('ack');
  const status = await house.until('the queue', (each) => each.queue.length === 2);
  expect(status.local.limit).toBe(limit);
  expect(status.queue.map((each) => each.command)).toEqual(['make first', 'make second']);

  await running[0]?.end();
  await first.expect('local');
  const after = await house.call('status', {});
  expect(after.local.leases.map((each) => each.command)).toContain('make first');
});

test('a light command never waits', async () => {
  const launcher = await house.ask(['gcc', '--version']);
  await launcher.expect('ack');
  expect(await launcher.next()).toMatchObject({ type: 'local', lease: 0n });
});

test('a command below one that holds a lease never waits', async () => {
  const parent = running[0];
  const launcher = await house.ask(['make', 'inner'], { ppid: parent?.pid ?? 0 });
  await launcher.expect('ack');
  expect(await launcher.next()).toMatchObject({ type: 'local', lease: 0n });
});

test('a launcher that goes away leaves the queue', async () => {
  const impatient = await house.ask(['make', 'impatient']);
  await impatient.expect('ack');
  await house.until('the queue', (each) => each.queue.length === 1);
  await impatient.end();
  await house.until('an empty queue', (each) => each.queue.length === 0);
});

test('how long a leased command ran is known afterwards', async () => {
  await running[0]?.end();
  await house.until('the end', (each) => each.local.leases.length === limit - 1);
  const rows = await house.call('history', { n: limit });
  const ended = rows.find((row) => row.command === 'make heavy-0');
  expect(ended?.phases.run).toBeGreaterThan(0);
  expect(ended?.exit).toBeNull();
});

test('a lease is written down when it is given, not when somebody looks next', async () => {
  const file = join(house.layout.state, 'leases.json');
  await running.pop()?.end();
  await house.until('room', (each) => each.local.leases.length === limit - 1);
  const last = await house.ask(['make', 'last']);
  await last.expect('ack');
  await last.expect('local');
  // Nobody asks anything meanwhile, and no command ends.
  await expect
    .poll(() => existsSync(file) && readFileSync(file, 'utf8').includes('make last'))
    .toBe(true);
});

test('leases outlive a daemon that is killed, as long as their commands do', async () => {
  const file = join(house.layout.state, 'leases.json');
  await house.until('the leases on disk', () => {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    return running.every((_, at) => text.includes(`make heavy-${at}`));
  });
  await house.crash();
  const gone = running.shift();
  await gone?.end();
  await house.start();
  const status = await house.until('the rest', (each) => each.local.leases.length === limit - 1);
  const commands = status.local.leases.map((each) => each.command);
  expect(commands).toEqual(running.map((_, at) => `make heavy-${at + 1}`));
});
