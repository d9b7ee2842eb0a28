import { constants } from 'node:os';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EndKind, StreamKind, type Ask } from '../../../src/protocol/shim.ts';
import { agentFactsLikeHere, House, type Launcher, type LinkScript } from './rig.ts';

const { SIGINT } = constants.signals;
let house: House;
let link: LinkScript;
let folder: string;

beforeEach(() => {
  house = new House();
  folder = house.project();
});
afterEach(async () => {
  await house.dispose();
});

/** Commands that are one and the same have one run each here. */
const each = '[deduplication]\nenabled = false\n';

/** A worker of one slot; `config` is the text of config.toml. */
async function oneSlot(config = ''): Promise<void> {
  house.write('config.toml', `${each}${config}`);
  house.workers('css');
  await house.listenForLinks();
  await house.start();
  link = await house.link();
  await link.connected({ totalSlots: 1 });
}

/** Sends a make there, and has the link know of it. */
async function there(env: Readonly<Record<string, string>> = {}): Promise<Launcher> {
  const launcher = await house.make(folder, env);
  const { job } = await link.expect('plan', { totalSlots: 1 });
  await launcher.expect('ack');
  await launcher.expect('remote');
  running = job;
  return launcher;
}
let running: Parameters<LinkScript['done']>[0];

/** A make that has to wait as number `place` in line. */
/** Standard error is a terminal. */
const shown = { errKind: StreamKind.tty } as const;

async function waits(
  place: number,
  env: Readonly<Record<string, string>>,
  more: Partial<Ask> = {},
): Promise<Launcher> {
  const launcher = await house.make(folder, env, more);
  await launcher.expect('ack');
  await house.until(`place ${place}`, (status) => status.queue.length === place);
  return launcher;
}

/** Which of the launchers gets its answer when the running job ends. */
async function next(): Promise<string | undefined> {
  link.done(running);
  const { job } = await link.expect('plan', { totalSlots: 1 });
  running = job;
  const history = await house.call('history', { n: 20 });
  return history.find(({ id }) => id === job.job)?.argv.at(-1);
}

test('those who wait for a worker are let go in turns of their callers, and urgent ones first', async () => {
  await oneSlot();
  await there();
  const order = [
    ['a1', { RCH_CALLER: 'a' }],
    ['a2', { RCH_CALLER: 'a' }],
    ['b1', { RCH_CALLER: 'b' }],
    ['l1', { RCH_CALLER: 'l', RCH_PRIORITY: 'low' }],
    ['h1', { RCH_CALLER: 'h', RCH_PRIORITY: 'high' }],
  ] as const;
  const launchers = new Map<string, Launcher>();
  for (const [at, [name, env]] of order.entries()) {
    const launcher = await house.make(folder, env, {}, ['make', name]);
    await launcher.expect('ack');
    launchers.set(name, launcher);
    await house.until('the line', (status) => status.queue.length === at + 1);
  }
  const line = await house.call('queue', {});
  const names = ['make h1', 'make a1', 'make b1', 'make a2', 'make l1'];
  expect(line.map(({ command }) => command)).toEqual(names);
  expect(line[0]).toMatchObject({
    place: 1,
    for: ['css'],
    caller: 'h',
    priority: 'high',
    cores: 1,
  });
  for (const expected of ['h1', 'a1', 'b1', 'a2', 'l1']) {
    expect(await next()).toBe(expected);
    await launchers.get(expected)?.expect('remote');
  }
});

test('the place in line is told, and told anew when it is another', async () => {
  await oneSlot();
  await there();
  const first = await waits(1, { RCH_CALLER: 'a' });
  const second = await waits(2, { RCH_CALLER: 'b' }, shown);
  await second.says('rch: place 2 of 2 in line for a worker');
  await house.call('cancel', { job: (await house.call('queue', {}))[0]?.id ?? '' });
  expect(await first.expect('exit')).toMatchObject({ kind: EndKind.signaled, value: SIGINT });
  await second.says('rch: place 1 of 1 in line for a worker');
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({
    ...{ decision: 'local', worker: null, signal: SIGINT, exit: null },
    reason: 'cancelled while it waited (rch cancel)',
  });
});

test('nobody waits longer than queue.max_wait_sec, nor at all where queue.enabled is off', async () => {
  await oneSlot('[queue]\nmax_wait_sec = 1\n');
  await there();
  // It does not insist, so that it may run here.
  const patient = await house.make(folder, { RCH_FORCE_REMOTE: '0' });
  await patient.expect('ack');
  const answer = await patient.expect('local');
  expect(answer.reason).toMatch(
    /^after \d+ s in line no worker can take it: css: 1 of its 1 slots/,
  );
  expect(answer.lease).not.toBe(0n);
  house.write('config.toml', `${each}[queue]\nenabled = false\n`);
  await house.call('reload', {});
  const hurried = await house.make(folder, { RCH_FORCE_REMOTE: '0' });
  await hurried.expect('ack');
  expect((await hurried.expect('local')).reason).toMatch(/^no worker can take it: css: 1 of its 1/);
});

test('cancel reaches what runs there and what runs here, and --all all of it', async () => {
  await oneSlot();
  await there();
  const line = await waits(1, {});
  const here = await house.ask(['make'], { env: [Buffer.from('RCH_LOCAL_ONLY=1')] });
  await here.expect('ack');
  await here.expect('local');
  await expect(house.call('cancel', { job: 'no such' })).rejects.toThrow('no command that waits');
  await expect(house.call('cancel', {})).rejects.toThrow('either one job or all of them');
  const { cancelled } = await house.call('cancel', { all: true });
  expect(cancelled.map(({ where }) => where)).toEqual(['in line', 'css', 'here']);
  expect(await link.expect('cancel')).toEqual({ type: 'cancel', job: running.job });
  await line.expect('exit');
  expect(await here.died).toBe('SIGINT');
  link.done(running, { outcome: { kind: 'cancelled' } });
  await house.until('the end', ({ jobs, local }) => jobs.length + local.leases.length === 0);
  const rows = await house.call('history', { n: 5 });
  expect(rows.find(({ id }) => id === running.job)).toMatchObject({
    ...{ decision: 'remote', signal: SIGINT, reason: 'cancelled (rch cancel)' },
  });
});

test('a slot that was promised is not promised twice, and is free again when its taker goes', async () => {
  await oneSlot();
  const both = await Promise.all([house.make(folder), house.make(folder)]);
  const { job } = await link.expect('plan', { totalSlots: 1 });
  running = job;
  await house.until('the line', (status) => status.queue.length === 1 && status.jobs.length === 1);
  for (const launcher of both) await launcher.expect('ack');
  const waiting = await house.call('queue', {});
  const late = both.find(({ pid }) => pid === waiting[0]?.pid);
  link.done(running);
  await link.expect('plan', { totalSlots: 1 });
  await late?.expect('remote');
});

test('heavy commands here keep no more cores than local.max_cores, and are bound to as many CPUs', async () => {
  house.write('config.toml', '[local]\nmax_cores = 1\n');
  await house.start();
  const wide = await house.ask(['make', '-j8']);
  await wide.expect('ack');
  const bound = await wide.next();
  const cores = (await house.call('status', {})).local;
  expect(cores).toMatchObject({ limit: 1, used: 1 });
  // On a machine of one CPU there is nothing to bind to.
  if (bound?.type === 'bind') {
    expect(bound.cpus).toHaveLength(1);
    await wide.expect('local');
  } else expect(bound?.type).toBe('local');
  const second = await house.ask(['make'], shown);
  await second.expect('ack');
  await second.says('rch: place 1 of 1 in line for its turn here');
  const probe = await house.ask(['gcc', '--version']);
  await probe.expect('ack');
  expect(await probe.next()).toMatchObject({ type: 'local', lease: 0n });
  const nested = await house.ask(['make'], { ppid: wide.pid });
  await nested.expect('ack');
  expect(await nested.expect('local')).toMatchObject({ lease: 0n });
  await wide.end();
  expect((await second.skip('bind', 'local')).type).toBe('local');
});

/** Two workers of one slot; the second does not connect yet. */
async function twoWorkers(): Promise<LinkScript> {
  house.write('config.toml', each);
  house.workers('css', 'csd');
  await house.listenForLinks();
  await house.start();
  const links = [await house.link(), await house.link()];
  const of = (id: string): LinkScript => {
    const found = links.find(({ worker }) => worker === id);
    if (found === undefined) throw new Error(`no link of ${id}`);
    return found;
  };
  link = of('css');
  await link.connected({ totalSlots: 1 });
  return of('csd');
}

test('who waits behind one that only one worker may take goes to another that comes back', async () => {
  const csd = await twoWorkers();
  csd.say({ type: 'disconnected', reason: 'it is switched off', next: '' });
  await there();
  await waits(1, { RCH_WORKER: 'css' });
  const second = await waits(2, {});
  await csd.connected({ totalSlots: 1 });
  await csd.expect('plan', { totalSlots: 1 });
  expect((await second.skip('bind', 'remote')).type).toBe('remote');
});

test('a worker that does not answer is asked once, and waited for only by those that no other can take', async () => {
  const csd = await twoWorkers();
  await csd.connected({ totalSlots: 8 });
  await house.until('both', ({ workers }) => workers.every(({ state }) => state === 'connected'));
  await there();
  // The other one is still to answer: were its time over, it would be asked again for the next command.
  const { request, tools } = await csd.expect('probe');
  const pinned = await house.make(folder, { RCH_WORKER: 'csd' });
  await pinned.expect('ack');
  await house.call('status', {});
  const facts = await agentFactsLikeHere(tools, { totalSlots: 8 });
  csd.say({ type: 'probed', request, facts });
  const { job } = await csd.expect('plan', { totalSlots: 8 });
  expect(job.cwd).toBe(folder);
  expect(csd.probes).toBe(1);
  await pinned.expect('remote');
});
