import { once } from 'node:events';
import { rmSync, symlinkSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { requestOf } from '../../../daemon/front/request.ts';
import { House, question } from './rig.ts';

let house: House;
afterEach(async () => {
  await house.dispose();
});

test('a query is acknowledged first and then sent home, with the reason', async () => {
  house = new House();
  await house.start();
  const launcher = await house.ask(['gcc', '--version']);
  expect(await launcher.next()).toEqual({ type: 'ack' });
  const answer = await launcher.expect('local');
  expect(answer.lease).toBe(0n);
  expect(answer.notice).toBe('');
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({
    command: 'gcc --version',
    argv: ['gcc', '--version'],
    cwd: house.root,
    decision: 'local',
    reason: answer.reason,
    worker: null,
    exit: null,
    signal: null,
    tool: 'gcc',
  });
});

test('what only asks is told, not asked, and can be looked up', async () => {
  house = new House();
  await house.start();
  const argv = ['cargo', '-vV'].map((word) => Buffer.from(word));
  await house.tell({ tool: Buffer.from('cargo'), cwd: Buffer.from(house.root), argv });
  const why = await house.call('why', { cwd: house.root });
  expect(why.record).toMatchObject({ command: 'cargo -vV', decision: 'local', worker: null });
  expect(why.record.reason).toBe('it is only asked (-vV)');
  const probe = ['gcc', '-c', 'conftest.c'].map((word) => Buffer.from(word));
  await house.tell({ tool: Buffer.from('gcc'), cwd: Buffer.from(house.root), argv: probe });
  expect((await house.call('why', { cwd: house.root })).record.reason).toBe(
    'a probe of a configure step is too small to gain',
  );
});

test('a build without any worker runs here under a lease, and why names the next step', async () => {
  house = new House();
  await house.start();
  const launcher = await house.ask(['make']);
  await launcher.expect('ack');
  const answer = await launcher.expect('local');
  expect(answer.reason).toBe('no worker is configured');
  expect(answer.lease).not.toBe(0n);
  const why = await house.call('why', { cwd: house.root });
  expect(why.record.reason).toBe(answer.reason);
  expect(why.details?.next).toContain('rch workers add');
});

test('a variable that cannot be understood keeps a command here, and is told who may read it', async () => {
  house = new House();
  await house.start();
  const said = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const launcher = await house.make(house.root, { RCH_PRIORITY: 'urgent', ...env });
    await launcher.expect('ack');
    const { notice } = await launcher.expect('local');
    await launcher.end();
    return notice;
  };
  expect(await said({})).toBe('');
  const words = 'rch: local: RCH_PRIORITY=urgent: must be low, normal, high';
  expect(await said({ RCH_VERBOSE: '1' })).toBe(words);
  expect(await said({ RCH_NOTICE: 'always' })).toBe(words);
});

test('a storm of configure questions is answered in full and leaves a small daemon', async () => {
  house = new House();
  await house.start();
  const env = Array.from({ length: 80 }, (_, at) =>
    Buffer.from(`VARIABLE_${at}=${'x'.repeat(60)}`),
  );
  for (let round = 0; round < 1500; round++) {
    const launcher = await house.launcher();
    launcher.send(
      question({ argv: ['gcc', '--version'], pid: process.pid, env: {}, cwd: '/tmp' }, { env }),
    );
    expect(await launcher.next()).toEqual({ type: 'ack' });
    await launcher.expect('local');
    launcher.socket.destroy();
  }
  const status = await house.call('status', {});
  expect(status.counts.local).toBe(1500);
  expect(status.memory).toBeLessThan(120e6);
});

test('a daemon whose socket was removed leaves, so that the one that is started then is the only one', async () => {
  house = new House();
  const daemon = await house.start();
  rmSync(house.socket);
  if (daemon.exitCode === null) await once(daemon, 'exit');
  expect(daemon.exitCode).toBe(0);
});

test('the shims have one name on PATH, however it leads to them', () => {
  house = new House();
  const link = `${house.root}/link`;
  symlinkSync('/usr/bin', link);
  const pathOf = (PATH: string): string | undefined => {
    const ask = question({ argv: ['make'], pid: 1, env: { PATH }, cwd: house.root });
    return requestOf({ ...ask, shimDir: Buffer.from('/usr/bin') }).env.get('PATH');
  };
  expect(pathOf('/usr/bin/:/sbin')).toBe('/usr/bin:/sbin');
  expect(pathOf(`/nowhere::${link}:/sbin`)).toBe('/nowhere::/usr/bin:/sbin');
  expect(pathOf('/usr/bin:/usr/bin/')).toBe('/usr/bin:/usr/bin/');
  expect(pathOf('/nowhere:/sbin')).toBe('/nowhere:/sbin');
});
