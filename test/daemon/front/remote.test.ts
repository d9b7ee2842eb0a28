import { afterEach, beforeEach, expect, test } from 'vitest';
import { linkSocket } from '../../../src/base/layout.ts';
import { House, type LinkScript } from './rig.ts';
import type { JobOutcome } from '../../../src/protocol/ipc.ts';

let house: House;
let link: LinkScript;
beforeEach(async () => {
  house = new House();
  house.workers('css');
  await house.listenForLinks();
  await house.start();
  link = await house.link();
});
afterEach(async () => {
  await house.dispose();
});

test('a build goes to the link of an equal worker, and its end is in the history', async () => {
  await link.connected();
  const folder = house.project();
  const launcher = await house.make(folder);
  await launcher.expect('ack');
  const { job } = await link.expect('plan');
  expect(job.argv).toEqual(['make']);
  expect(job.cwd).toBe(folder);
  expect(job.streams).toEqual([4, 2, 2]);
  expect(job.joined).toBe(false);
  expect(job.env.some((entry) => entry.startsWith('RCH_'))).toBe(false);
  const answer = await launcher.expect('remote');
  expect(answer.job.toString('hex')).toBe(job.job);
  expect(answer.worker).toBe('css');
  expect(answer.socket.toString()).toBe(linkSocket(house.layout, 'css'));

  link.say({ type: 'phase', job: job.job, phase: 'run' });
  const running = await house.until('the phase', (status) => status.jobs[0]?.phase === 'run');
  expect(running.jobs[0]).toMatchObject({ worker: 'css', command: 'make', cwd: folder });
  expect(running.workers[0]).toMatchObject({ id: 'css', state: 'connected', jobs: 1 });

  link.done(job, {
    outcome: { kind: 'exited', code: 2 },
    conflicts: ['/caf\xc3\xa9'],
  });
  await house.until('the end', (status) => status.jobs.length === 0);
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({
    id: job.job,
    decision: 'remote',
    worker: 'css',
    exit: 2,
    signal: null,
    phases: { scan: 2, sync: 5, run: 100, return: 7 },
    bytes: { sent: 10, received: 20, output: 30 },
    conflicts: ['/café'],
  });
  // The link counts from the commit, the record from the question.
  const { queue = 0, total = 0 } = row?.phases ?? {};
  expect(queue).toBeGreaterThan(0);
  expect(total).toBeCloseTo(114 + queue, 1);
  const why = await house.call('why', { job: job.job.slice(0, 8) });
  expect(why.details?.workers).toMatchObject([{ worker: 'css', refusal: '' }]);
  expect(why.details?.roots[0]).toMatchObject({ path: folder, policy: 'project' });
});

test('a tool that died of a signal is recorded by the number of the signal', async () => {
  await link.connected();
  const launcher = await house.make(house.project());
  const { job } = await link.expect('plan');
  await launcher.expect('ack');
  await launcher.expect('remote');
  link.done(job, { outcome: { kind: 'signaled', signal: 15 } });
  await house.until('the end', (status) => status.jobs.length === 0);
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({ decision: 'remote', exit: null, signal: 15 });
});

test('a worker that differs in what matters is refused with the difference', async () => {
  await link.connected({ arch: 'riscv64' });
  const launcher = await house.make(house.project());
  await launcher.expect('ack');
  // Facts are asked for on the way; the worker says again that it is another machine.
  void link.expect('plan', { arch: 'riscv64' }).catch(() => undefined);
  const answer = await launcher.expect('local');
  expect(answer.reason).toContain('css: the worker is riscv64');
  const why = await house.call('why', {});
  expect(why.details?.workers[0]?.refusal).toContain('riscv64');
});

test('a worker without a sandbox is refused, and the mend is named', async () => {
  const sandbox = { method: 'none', mend: 'install bubblewrap' } as const;
  await link.connected({ sandbox });
  const launcher = await house.make(house.project());
  await launcher.expect('ack');
  const answer = await launcher.expect('local');
  expect(answer.reason).toContain('cannot run a command at the paths');
  const why = await house.call('why', {});
  expect(why.details?.next).toBe('install bubblewrap');
});

test('RCH_WORKER with a name that is no worker of ours runs here and says so', async () => {
  await link.connected();
  const launcher = await house.make(house.project(), { RCH_WORKER: 'nobody' });
  await launcher.expect('ack');
  expect((await launcher.expect('local')).reason).toContain(
    'RCH_WORKER asks for nobody, which is no worker of ours',
  );
});

test('an unreachable worker leaves the command here with the cause', async () => {
  link.say({ type: 'listening' });
  link.say({ type: 'disconnected', reason: 'connection refused', next: 'start sshd' });
  await house.until('the state', (status) => status.workers[0]?.state === 'unreachable');
  const launcher = await house.make(house.project());
  await launcher.expect('ack');
  const answer = await launcher.expect('local');
  expect(answer.reason).toContain('css: it is unreachable: connection refused');
  expect((await house.call('why', {})).details?.next).toBe('start sshd');
});

test('a probe of an unreachable worker tries anew, and tells of that attempt', async () => {
  link.say({ type: 'listening' });
  link.say({ type: 'disconnected', reason: 'connection refused', next: '' });
  await house.until('the state', (status) => status.workers[0]?.state === 'unreachable');
  const probed = house.call('probe', { worker: 'css' }).catch(String);
  await link.expect('connect');
  link.say({ type: 'connecting', attempt: 2 });
  link.say({ type: 'disconnected', reason: 'no route to host', next: '' });
  expect(await probed).toContain('no route to host');
});

test('a command waits for a worker that is just connecting, with heartbeats', async () => {
  link.say({ type: 'listening' });
  await house.until('the state', (status) => status.workers[0]?.state === 'connecting');
  const launcher = await house.make(house.project());
  await launcher.expect('ack');
  expect(await launcher.next()).toMatchObject({ type: 'wait' });
  await link.connected();
  await link.expect('plan');
  await launcher.expect('remote');
});

test('what a run teaches keeps the next one here until it is forgotten', async () => {
  await link.connected();
  const folder = house.project();
  const first = await house.make(folder);
  const { job } = await link.expect('plan');
  await first.expect('ack');
  await first.expect('remote');
  link.done(job, { missedEnv: ['SECRET_TOKEN'] });
  await house.until('the end', (status) => status.jobs.length === 0);

  const second = await house.make(folder);
  await second.expect('ack');
  expect((await second.expect('local')).reason).toContain('SECRET_TOKEN');
  expect((await house.call('why', {})).details?.learned).toContain('SECRET_TOKEN');

  expect(await house.call('forget', { cwd: folder })).toEqual({ forgotten: 1 });
  const third = await house.make(folder);
  await third.expect('ack');
  await link.expect('plan');
  await third.expect('remote');
});

test('a job that comes back before its start is local in the history, under a lease', async () => {
  await link.connected();
  const launcher = await house.make(house.project());
  const { job } = await link.expect('plan');
  await launcher.expect('ack');
  await launcher.expect('remote');
  link.done(job, {
    outcome: {
      kind: 'local',
      reason: 'the disk there is full',
      learn: false,
      again: false,
      fault: true,
    },
  });
  const again = await house.asksAgain(launcher, house.project());
  expect((await again.expect('local')).lease).not.toBe(0n);
  const status = await house.until('the lease', (each) => each.local.leases.length === 1);
  expect(status.counts).toMatchObject({ remote: 0, local: 1, returned: 1 });
  const [row] = await house.call('history', { n: 1 });
  expect(row).toMatchObject({
    decision: 'local',
    worker: null,
    reason: 'the disk there is full',
    exit: null,
  });
  await launcher.end();
  await house.until('the end of the lease', (each) => each.local.leases.length === 0);
});

test('a worker that loses job after job rests', async () => {
  await link.connected();
  const folder = house.project();
  for (let round = 0; round < 3; round++) {
    const launcher = await house.make(folder);
    const { job } = await link.expect('plan');
    await launcher.expect('ack');
    await launcher.expect('remote');
    link.done(job, {
      outcome: { kind: 'lost', kept: false, reason: 'the agent vanished' },
    });
    await house.until('the end', (status) => status.jobs.length === 0);
  }
  const launcher = await house.make(folder);
  await launcher.expect('ack');
  expect((await launcher.expect('local')).reason).toContain('css: it lost several jobs');
  const status = await house.call('status', {});
  expect(status.workers[0]?.breaker).toBe('open');
  expect(status.counts.lost).toBe(3);
  const [, lost] = await house.call('history', { n: 2 });
  expect(lost).toMatchObject({ decision: 'remote', exit: null, reason: 'the agent vanished' });
});

/** One command is sent to the worker and comes to this. */
async function sent(folder: string, outcome: JobOutcome): Promise<void> {
  const launcher = await house.make(folder);
  const { job } = await link.expect('plan');
  await launcher.expect('ack');
  await launcher.expect('remote');
  link.done(job, { outcome });
  await house.until('the end', (status) => status.jobs.length === 0);
  await launcher.end();
}

test('a command that its user bounds in time is not one that was lost', async () => {
  await link.connected();
  const folder = house.project();
  const reason = 'it ran into its time limit of 1 s (execution.timeout_sec)';
  for (let round = 0; round < 3; round++) await sent(folder, { kind: 'timedOut', reason });
  const { counts, notices, workers } = await house.call('status', {});
  expect(counts).toMatchObject({ remote: 3, lost: 0 });
  expect(notices).toEqual([]);
  expect(workers[0]?.breaker).toBe('closed');
  const [row] = await house.call('history', { n: 1, failed: true });
  expect(row).toMatchObject({ decision: 'remote', exit: 102, reason });
});

test('what is the fault of a project, of this machine or of others there says nothing against a worker', async () => {
  await link.connected();
  const folder = house.project();
  const local = { kind: 'local', reason: 'too large', learn: false, again: false } as const;
  for (let round = 0; round < 8; round++) await sent(folder, { ...local, fault: false });
  expect((await house.call('status', {})).workers[0]?.breaker).toBe('closed');
  for (let round = 0; round < 6; round++) await sent(folder, { ...local, fault: true });
  expect((await house.call('status', {})).workers[0]?.breaker).toBe('open');
});

test('a worker that rested gets one command on trial, rests longer when it loses that, and is well after one that ended', async () => {
  house.write('config.toml', '[breaker]\nfailure_threshold = 1\nrecovery_timeout_sec = 3\n');
  await house.call('reload', {});
  await link.connected();
  const folder = house.project();
  const lost = { kind: 'lost', kept: false, reason: 'r' } as const;
  const rested = (): Promise<unknown> =>
    house.until('the end of its rest', ({ workers }) => workers[0]?.breaker === 'half-open');
  const refusal = async (reason: RegExp): Promise<void> => {
    const launcher = await house.make(house.project('other'));
    await launcher.expect('ack');
    expect((await launcher.expect('local')).reason).toMatch(reason);
    await launcher.end();
  };
  await sent(folder, lost);
  await refusal(/it lost several jobs, and rests for [123] s more/);
  await rested();
  const launcher = await house.make(folder);
  const { job } = await link.expect('plan');
  await launcher.expect('ack');
  await launcher.expect('remote');
  await refusal(/it lost several jobs, and one is on trial there/);
  link.done(job, { outcome: lost });
  await house.until('the end', (status) => status.jobs.length === 0);
  await refusal(/it lost several jobs, and rests for [456] s more/);
  await rested();
  await sent(folder, { kind: 'abandoned' });
  await sent(folder, { kind: 'exited', code: 1 });
  expect((await house.call('status', {})).workers[0]?.breaker).toBe('closed');
});

test.each([
  [{}, '', false],
  [{ RCH_NO_CACHE: '1' }, '', true],
  [{}, '[transfer]\nchecksum = true\n', true],
  [{ RCH_NO_CACHE: '0' }, '[transfer]\nchecksum = true\n', false],
] as const)(
  'with %j and %j it is %s that a command is run for itself alone',
  async (env, config, alone) => {
    house.write('config.toml', config);
    await house.call('reload', {});
    await link.connected();
    const launcher = await house.make(house.project(), env);
    const { job } = await link.expect('plan');
    await launcher.expect('ack');
    await launcher.expect('remote');
    expect(job).toMatchObject({ checksum: alone });
    expect(job.key === '').toBe(alone);
  },
);

test('RCH_DRY_RUN shows what would happen in a box, and runs here', async () => {
  await link.connected();
  const folder = house.project();
  const launcher = await house.make(folder, { RCH_DRY_RUN: '1' });
  void link.expect('plan').catch(() => undefined);
  await launcher.expect('ack');
  const answer = await launcher.expect('local');
  const lines = answer.notice.split('\n');
  expect(lines[0]).toMatch(/^╭─ RCH DRY RUN ─+╮$/);
  expect(lines.slice(1, 7)).toEqual([
    '│ Command:    make',
    '│ Decision:   WOULD INTERCEPT',
    '│ Category:   make',
    '│ Confidence: 85.0%',
    `│ Project:    ${folder}`,
    '│ Worker:     css (8 of 8 slots available)',
  ]);
  expect(lines.slice(-3)).toEqual([
    '│ (Running locally - dry run mode)',
    expect.stringMatching(/^╰─+╯$/),
    '',
  ]);
});

test('RCH_DRY_RUN shows the reason of a command that would stay here, also of a quick one', async () => {
  const launcher = await house.ask(['make', '--version'], {
    real: Buffer.from('/usr/bin/make'),
    env: [Buffer.from('RCH_DRY_RUN=1')],
  });
  await launcher.expect('ack');
  const { notice } = await launcher.expect('local');
  expect(notice).toContain('│ Decision:   PASS THROUGH\n│ Reason:     make is only asked');
});

test('explain decides without recording or sending anything', async () => {
  await link.connected();
  const folder = house.project();
  const answered = house.call('explain', {
    tool: '/usr/bin/make',
    argv: ['make'],
    cwd: folder,
    env: [`PATH=${process.env['PATH'] ?? ''}`, 'RCH_FORCE_REMOTE=1'],
  });
  void link.expect('plan').catch(() => undefined);
  expect(await answered).toMatchObject({ decision: 'remote', worker: 'css' });
  expect(await house.call('history', { n: 5 })).toEqual([]);
});
