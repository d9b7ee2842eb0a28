/** Workers that the user takes out of use, that are in trouble, or that turn a command away. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobsFolder } from '../../../src/base/layout.ts';
import type { PlannedJob } from '../../../src/protocol/ipc.ts';
import type { WorkerStatus } from '../../../src/protocol/methods.ts';
import { agentFactsLikeHere, House, type Launcher, type LinkScript } from './rig.ts';

let house: House;
let folder: string;
const links = new Map<string, LinkScript>();
const { tools } = await agentFactsLikeHere(['make']);

beforeEach(async () => {
  house = new House();
  folder = house.project();
  house.workers('css', 'csd');
  await house.listenForLinks();
  await house.start();
  links.clear();
  for (let count = 0; count < 2; count++) {
    const link = await house.link();
    links.set(link.worker, link);
    // Nothing is left to be asked, so that each message to a link is one that a test waits for.
    await link.connected({ tools, totalSlots: link.worker === 'css' ? 8 : 4 });
  }
  await house.until('both', ({ workers }) => workers.every(({ state }) => state === 'connected'));
});
afterEach(async () => {
  await house.dispose();
});

const linkOf = (id: string): LinkScript => {
  const link = links.get(id);
  if (link === undefined) throw new Error(`no link of ${id}`);
  return link;
};

async function planOn(id: string): Promise<PlannedJob> {
  return (await linkOf(id).expect('plan')).job;
}

async function statusOf(id: string): Promise<WorkerStatus> {
  const found = (await house.call('workers', {})).find((each) => each.id === id);
  if (found === undefined) throw new Error(`no worker ${id}`);
  return found;
}

async function make(env: Readonly<Record<string, string>> = {}): Promise<Launcher> {
  const launcher = await house.make(folder, env);
  await launcher.expect('ack');
  return launcher;
}

const asksAgain = (launcher: Launcher): Promise<Launcher> => house.asksAgain(launcher, folder);

const turnedAway = {
  kind: 'local',
  reason: 'its disk is full',
  learn: false,
  again: true,
  fault: true,
} as const;

test('a command that one worker turns away goes to the next, and then here, as one record', async () => {
  const launcher = await make();
  const job = await planOn('css');
  await launcher.expect('remote');
  linkOf('css').done(job, { outcome: turnedAway });
  await house.until('the end there', (status) => status.jobs.length === 0);

  const second = await asksAgain(launcher);
  const again = (await linkOf('csd').expect('plan')).job;
  expect(again.job).toBe(job.job);
  expect((await second.expect('remote')).worker).toBe('csd');
  const why = await house.call('why', {});
  expect(why.record).toMatchObject({ id: job.job, decision: 'remote', worker: 'csd' });
  expect(why.details?.workers.find(({ worker }) => worker === 'css')?.refusal).toBe(
    'it turned the command away: its disk is full',
  );

  linkOf('csd').done(again, { outcome: { ...turnedAway, reason: 'no slots' } });
  await house.until('the end there', (status) => status.jobs.length === 0);
  const third = await asksAgain(launcher);
  expect((await third.expect('local')).reason).toMatch(/turned the command away/);
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({ id: job.job, decision: 'local', worker: null });
  expect(await house.call('history', { n: 9 })).toHaveLength(1);
  expect((await house.call('status', {})).counts).toMatchObject({ remote: 0, local: 1 });
});

test('a drained worker keeps its connection and its jobs, gets no more, and stays so over a restart', async () => {
  await make();
  const job = await planOn('css');
  const drained = await house.call('order', { worker: 'css', mandate: 'draining' });
  expect(drained).toMatchObject({ health: 'draining', state: 'connected', jobs: 1 });
  await make();
  await planOn('csd');
  const why = await house.call('why', {});
  expect(why.details?.workers.find(({ worker }) => worker === 'css')?.refusal).toBe(
    'it is draining (rch workers drain)',
  );
  linkOf('css').done(job);
  await house.until('its end', ({ workers }) =>
    workers.every(({ id, jobs }) => id !== 'css' || jobs === 0),
  );
  expect(await statusOf('css')).toMatchObject({ health: 'draining', state: 'connected' });

  await house.crash();
  await house.start();
  for (let count = 0; count < 2; count++) await (await house.link()).connected();
  await house.until('both', ({ workers }) => workers.every(({ state }) => state === 'connected'));
  expect(await statusOf('css')).toMatchObject({ health: 'draining', mandate: 'draining' });
  const enabled = await house.call('order', { worker: 'css', mandate: 'enabled' });
  expect(enabled).toMatchObject({ mandate: 'enabled', state: 'connected' });
});

test('a disabled worker ends its jobs, then its link, and gets one again when it is enabled', async () => {
  await make();
  const job = await planOn('css');
  await house.call('order', { worker: 'css', mandate: 'disabled' });
  expect(await statusOf('css')).toMatchObject({ health: 'draining', mandate: 'disabled' });
  linkOf('css').done(job);
  await linkOf('css').expect('stop');
  await house.until('its rest', ({ workers }) =>
    workers.some(({ health }) => health === 'disabled'),
  );
  expect(await statusOf('css')).toMatchObject({
    state: 'disabled',
    reason: 'rch workers disable',
    next: 'rch workers enable css',
  });
  await house.call('order', { worker: 'css', mandate: 'enabled' });
  const again = await house.link();
  expect(again.worker).toBe('css');
  await again.connected();
  await house.until('it', ({ workers }) => workers.every(({ state }) => state === 'connected'));
});

test('a disabled worker gets a link after a restart only where jobs were left', async () => {
  await house.call('order', { worker: 'css', mandate: 'disabled' });
  await linkOf('css').expect('stop');
  await house.call('order', { worker: 'csd', mandate: 'disabled' });
  await house.crash();
  const left = jobsFolder(house.layout, 'csd');
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, `${'0'.repeat(32)}.jsonl`), '');
  await house.start();
  const link = await house.link();
  expect(link.worker).toBe('csd');
  await link.connected();
  await link.expect('stop');
  await house.until('rest', ({ workers }) => workers.every(({ health }) => health === 'disabled'));
});

test('a full disk, silence and a clock that was set keep commands away until they pass', async () => {
  const css = linkOf('css');
  const refusal = async (trouble: RegExp): Promise<void> => {
    await house.until('the trouble', ({ workers }) =>
      workers.some(
        ({ id, troubles }) =>
          id === 'css' && troubles.some((each) => trouble.test(each.reason) && !each.used),
      ),
    );
    expect(await statusOf('css')).toMatchObject({ health: 'degraded', state: 'connected' });
    const launcher = await make({ RCH_WORKER: 'css' });
    expect((await launcher.expect('local')).reason).toMatch(trouble);
    await launcher.end();
  };
  css.say({ type: 'slots', total: 8, used: 0, own: 0, freeBytes: 50e6 });
  await refusal(/only 50 MB are free on its disk/);
  css.say({ type: 'slots', total: 8, used: 0, own: 0, freeBytes: 1e12 });
  css.say({ type: 'silent', ms: 20_000 });
  await refusal(/it has not answered for 20 s/);
  css.say({ type: 'silent', ms: 0 });
  await house.until('health', ({ workers }) => workers.every(({ health }) => health === 'healthy'));
  css.say({ type: 'clock', offset: '3600000000000', step: '3600000000000' });
  await refusal(/its clock, or ours, was set by 3600\.0 s/);
  expect((await statusOf('css')).clockOffsetMs).toBe(3_600_000);
});

test('load from outside and missing tools are told, and make another worker the better one', async () => {
  const css = linkOf('css');
  css.say({ type: 'vitals', load: 1000 });
  const status = await house.until('the load', ({ workers }) =>
    workers.some(({ health }) => health === 'degraded'),
  );
  expect(status.workers.find(({ id }) => id === 'css')?.troubles).toMatchObject([
    { kind: 'load', used: true },
  ]);
  await make();
  await planOn('csd');
  const why = await house.call('why', {});
  expect(why.details?.workers.find(({ worker }) => worker === 'css')?.degraded).toMatch(
    /^others keep 1000 of its \d+ cores busy$/,
  );
});
