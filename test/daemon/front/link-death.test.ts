import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rmSync } from 'node:fs';
import { historyFile } from '../../../src/base/layout.ts';
import { startTimeOf } from '../../../src/base/processes.ts';
import { stopDaemon } from '../../../src/client/daemon-process.ts';
import { SHIM_PROTOCOL, StreamKind } from '../../../src/protocol/shim.ts';
import { House, type Launcher, type LinkScript } from './rig.ts';
import type { PlannedJob } from '../../../src/protocol/ipc.ts';

let house: House;
let link: LinkScript;
let launcher: Launcher;
let job: PlannedJob;
let memo: unknown;

beforeEach(async () => {
  house = new House();
  house.workers('css');
  await house.listenForLinks();
  await house.start();
  link = await house.link();
  await link.connected();
  launcher = await house.make(house.project());
  await launcher.expect('ack');
  ({ job, memo } = await link.expect('plan'));
  await launcher.expect('remote');
});
afterEach(async () => {
  await house.dispose();
});

const where = (id: Buffer) => ({ type: 'where', protocol: SHIM_PROTOCOL, job: id }) as const;

test('where waits for the link to come back, then leads to it again', async () => {
  link.exit(3);
  await house.until('the death', (status) => status.workers[0]?.state !== 'connected');
  const asker = await house.launcher();
  asker.send(where(Buffer.from(job.job, 'hex')));
  const again = await house.link();
  await again.connected({}, [{ job: job.job, memo }]);
  const answer = await asker.expect('remote');
  expect(answer.job.toString('hex')).toBe(job.job);
  expect(answer.worker).toBe('css');

  again.done(job, { outcome: { kind: 'exited', code: 0 } });
  expect((await again.expect('heard')).job).toBe(job.job);
  await house.until('the end', (status) => status.jobs.length === 0);
  expect(await house.call('history', { n: 1 })).toMatchObject([{ worker: 'css', exit: 0 }]);
});

test('a command that insists on a worker waits for a link that died just now', async () => {
  link.exit(3);
  await house.until('the death', (status) => status.workers[0]?.state === 'unreachable');
  const patient = await house.make(house.project(), {}, { errKind: StreamKind.tty });
  await patient.expect('ack');
  await patient.says('rch: waiting for a worker to connect');
  const again = await house.link();
  await again.connected();
  await again.expect('plan');
  await patient.expect('remote');
});

test('where for a job that nobody knows is answered local, which the launcher takes for lost', async () => {
  const asker = await house.launcher();
  asker.send(where(randomBytes(16)));
  expect((await asker.expect('local')).reason).toContain('does not know this job');
});

test('a job from before a crash of the daemon is found again', async () => {
  await house.recorded(job.job);
  await house.crash();
  await house.start();
  const again = await house.link();
  await again.connected({}, [{ job: job.job, memo }]);
  const asker = await house.launcher();
  asker.send(where(Buffer.from(job.job, 'hex')));
  expect((await asker.expect('remote')).worker).toBe('css');
  expect((await house.call('jobs', {})).running).toMatchObject([{ id: job.job, worker: 'css' }]);
  again.done(job, { outcome: { kind: 'exited', code: 7 } });
  await again.expect('heard');
  expect(await house.call('history', { n: 1 })).toMatchObject([{ worker: 'css', exit: 7 }]);
});

test('a job that only its link remembers is found again and recorded', async () => {
  await house.crash();
  rmSync(historyFile(house.layout), { force: true });
  await house.start();
  const asker = await house.launcher();
  asker.send(where(Buffer.from(job.job, 'hex')));
  const again = await house.link();
  await again.connected({}, [{ job: job.job, memo }]);
  expect((await asker.expect('remote')).worker).toBe('css');
  again.done(job, { outcome: { kind: 'lost', reason: 'r', kept: false } });
  await again.expect('heard');
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({ id: job.job, decision: 'remote', worker: 'css', exit: null });
});

test('a job that no worker was told of when the daemon died is recorded as run here', async () => {
  await house.recorded(job.job);
  await house.crash();
  await house.start();
  await (await house.link()).connected();
  await house.until('the new link', (status) => status.workers[0]?.state === 'connected');
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({ id: job.job, decision: 'local', worker: null });
});

test('a job whose link died before the worker was told is no job any more', async () => {
  await launcher.end();
  link.exit(3);
  await (await house.link()).connected();
  const status = await house.until('the end', (each) => each.jobs.length === 0);
  expect(status.counts).toMatchObject({ remote: 0, returned: 1, lost: 0 });
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({ decision: 'local', worker: null, exit: null });
});

test.each(['before', 'after'] as const)(
  'a command whose link died before the worker was told runs here, under a lease, when it asks %s the next link is there',
  async (when) => {
    link.exit(3);
    if (when === 'after') {
      await (await house.link()).connected();
      await house.until('the end', (each) => each.jobs.length === 0);
    }
    const again = await house.asksAgain(launcher, house.project());
    expect((await again.expect('local')).reason).toContain(
      'the link went away before it told the worker',
    );
    const status = await house.call('status', {});
    expect(status.local.leases).toMatchObject([{ pid: launcher.pid, id: job.job }]);
    expect(status.counts).toMatchObject({ remote: 0, local: 1, returned: 1 });
    const rows = await house.call('history', { n: 9 });
    expect(rows).toMatchObject([{ id: job.job, decision: 'local', worker: null }]);
  },
);

test('of many commands whose link dies while it prepares, no more run here at once than there is room for', async () => {
  house.write('config.toml', '[local]\nmax_cores = 1\n');
  await house.call('reload', {});
  const folders = Array.from({ length: 5 }, (_, at) => house.project(`p${at}`));
  const rest: Launcher[] = [];
  for (const folder of folders) {
    const each = await house.make(folder);
    await each.expect('ack');
    await link.expect('plan');
    await each.expect('remote');
    rest.push(each);
  }
  process.kill(link.pid, 'SIGKILL');
  const asking = await Promise.all(
    rest.map((each, at) => house.asksAgain(each, folders[at] ?? '')),
  );
  const turn = (each: Launcher, at: number): Promise<number> =>
    each.skip('bind', 'local').then(() => at);
  const turns = asking.map(turn);
  for (let left = asking.length; left > 0; left--) {
    const status = await house.until('one lease', (each) => each.queue.length === left - 1);
    expect(status.local.leases).toHaveLength(1);
    const [lease] = status.local.leases;
    const at = rest.findIndex(({ pid }) => pid === lease?.pid);
    expect(await turns[at]).toBe(at);
    await rest[at]?.end();
  }
  await launcher.end();
  expect((await house.call('status', {})).counts).toMatchObject({ lost: 0 });
});

test('a link that does not end when it should is killed', async () => {
  link.stubborn();
  house.write('workers.toml', '');
  await house.call('reload', {});
  expect((await house.call('status', {})).workers).toEqual([]);
  expect(await stopDaemon(house.layout, { now: true })).toEqual({ ok: true, value: 'stopped' });
  expect(startTimeOf(link.pid)).toBeUndefined();
});

test('a worker whose configuration changes gets a new link after the old one has ended', async () => {
  house.write('workers.toml', '[[workers]]\nid = "css"\nhost = "other.invalid"\n');
  await house.call('reload', {});
  const again = await house.link();
  expect(again.worker).toBe('css');
  expect(again.pid).not.toBe(link.pid);
  const configured = await again.expect('configure');
  expect(configured.worker).toMatchObject({ id: 'css', host: 'other.invalid' });
});

/** Has the configuration read that says of the worker `more` than that it is there. */
async function configured(more: string, host = 'css.invalid'): Promise<void> {
  house.write('workers.toml', `[[workers]]\nid = "css"\nhost = "${host}"\n${more}`);
  await house.call('reload', {});
}

test('a job runs on under the same link when only the standing of its worker changes', async () => {
  await configured('priority = 50\ntags = ["big"]\n');
  const { workers } = await house.call('status', {});
  expect(workers).toMatchObject([{ state: 'connected', priority: 50, tags: ['big'], jobs: 1 }]);
  const another = await house.make(house.project('other'));
  await another.expect('ack');
  const { job: second } = await link.expect('plan');
  await another.expect('remote');
  for (const each of [job, second]) link.done(each);
  await house.until('the end', (status) => status.jobs.length === 0);
  expect(await house.call('history', { n: 2 })).toMatchObject([{ exit: 0 }, { exit: 0 }]);
});

test('a job is handed to a new link when what its link is made by changes, and can be cancelled there', async () => {
  await configured('total_slots = 3\n');
  await link.expect('leave');
  const again = await house.link();
  expect((await again.expect('configure')).worker).toMatchObject({ totalSlots: 3 });
  await again.connected({}, [{ job: job.job, memo }]);
  const asker = await house.launcher();
  asker.send(where(Buffer.from(job.job, 'hex')));
  expect((await asker.expect('remote')).worker).toBe('css');
  expect(await house.call('cancel', { job: job.job })).toMatchObject({
    cancelled: [{ id: job.job }],
  });
  expect((await again.expect('cancel')).job).toBe(job.job);
  again.done(job, { outcome: { kind: 'cancelled' } });
  await house.until('the end', (status) => status.jobs.length === 0);
});

test('a command that comes while a link is made anew waits for it', async () => {
  link.stubborn();
  await configured('total_slots = 3\n');
  await link.expect('leave');
  const waiting = await house.make(house.project('other'));
  await waiting.expect('ack');
  expect(await waiting.next()).toMatchObject({ type: 'wait' });
  link.exit(0);
  const again = await house.link();
  await again.connected({}, [{ job: job.job, memo }]);
  expect((await again.expect('plan')).job.cwd).toBe(`${house.root}/other`);
  await waiting.expect('remote');
});

test('a command that comes while a worker goes to another host waits for it there', async () => {
  link.done(job);
  await house.until('the end', (status) => status.jobs.length === 0);
  link.stubborn();
  await configured('', 'other.invalid');
  await link.expect('stop');
  const waiting = await house.make(house.project('other'));
  await waiting.expect('ack');
  expect(await waiting.next()).toMatchObject({ type: 'wait' });
  link.exit(0);
  const again = await house.link();
  await again.connected();
  expect((await again.expect('plan')).job.cwd).toBe(`${house.root}/other`);
  await waiting.expect('remote');
});

test('a command does not wait for a worker that goes to another host when its jobs are over', async () => {
  link.stubborn();
  await configured('', 'other.invalid');
  await link.expect('stop');
  const other = await house.make(house.project('other'));
  await other.expect('ack');
  expect((await other.expect('local')).reason).toContain('css: ');
  link.done(job);
  link.exit(0);
  await house.link();
});

test.each([
  ['another host', () => configured('', 'other.invalid'), 1],
  [
    'nothing any more',
    async () => {
      house.write('workers.toml', '');
      await house.call('reload', {});
    },
    0,
  ],
] as const)(
  'a job is waited for without a limit when its worker becomes %s',
  async (_, change, links) => {
    link.stubborn();
    await change();
    expect(await link.expect('stop')).toEqual({ type: 'stop' });
    expect(await house.call('cancel', { job: job.job })).toMatchObject({
      cancelled: [{ id: job.job }],
    });
    expect((await link.expect('cancel')).job).toBe(job.job);
    link.done(job);
    expect((await link.expect('heard')).job).toBe(job.job);
    link.exit(0);
    expect(await house.call('history', { n: 1 })).toMatchObject([{ worker: 'css', exit: 0 }]);
    for (let count = 0; count < links; count++) await (await house.link()).connected();
  },
);
