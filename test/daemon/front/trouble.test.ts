import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startTimeOf } from '../../../src/base/processes.ts';
import { DaemonClient } from '../../../src/client/daemon-client.ts';
import { ensureDaemon, stopDaemon } from '../../../src/client/daemon-process.ts';
import { House, within } from './rig.ts';

let house: House;
afterEach(async () => {
  await house.dispose();
});

const hasEnded = (pid: number): boolean => startTimeOf(pid) === undefined;

test('the socket is 0600 in a folder of 0700, whatever the umask', async () => {
  house = new House();
  await house.start();
  expect(statSync(house.socket).mode & 0o777).toBe(0o600);
  expect(statSync(house.layout.run).mode & 0o777).toBe(0o700);
});

test('a second daemon refuses to start and names the first', async () => {
  house = new House();
  const first = await house.start();
  const second = house.spawn();
  const [code] = (await within('its end', once(second, 'exit'))) as [number];
  expect(code).toBe(1);
  expect(house.stderr).toContain(`rchd runs already (process ${first.pid ?? 0})`);
  expect((await house.call('status', {})).pid).toBe(first.pid);
});

test('a run folder that others can reach is refused by daemon and client, with the mend', async () => {
  house = new House();
  mkdirSync(house.layout.run, { recursive: true });
  chmodSync(house.layout.run, 0o755);
  const daemon = house.spawn();
  await within('its end', once(daemon, 'exit'));
  expect(house.stderr).toContain('has mode 0755');
  const client = await DaemonClient.connect(house.layout);
  expect(client).toMatchObject({ ok: false, failure: { kind: 'foreign' } });
  expect(client.ok ? '' : client.failure.next).toContain('chmod 700');
});

test('a run folder that is a symbolic link is refused', async () => {
  house = new House();
  mkdirSync(join(house.root, 'elsewhere'), { mode: 0o700 });
  symlinkSync(join(house.root, 'elsewhere'), house.layout.run);
  await within('its end', once(house.spawn(), 'exit'));
  expect(house.stderr).toContain('is not a folder of its own');
});

test('a stale socket is replaced, one with a listener is left alone', async () => {
  house = new House();
  mkdirSync(house.layout.run, { recursive: true, mode: 0o700 });
  const other = createServer();
  other.listen(house.socket);
  await once(other, 'listening');
  await within('its end', once(house.spawn(), 'exit'));
  expect(house.stderr).toContain('another program listens');
  expect(existsSync(house.socket)).toBe(true);
  other.close();

  await house.start();
  await house.crash();
  expect(existsSync(house.socket)).toBe(true);
  await house.start();
  expect((await house.call('status', {})).uptimeMs).toBeGreaterThan(0);
});

test('a home with a path beyond what a socket address holds works', async () => {
  house = new House(join('a'.repeat(100), 'b'.repeat(100)));
  await house.start();
  const launcher = await house.ask(['gcc', '--version']);
  await launcher.expect('ack');
  await launcher.expect('local');
});

test('a launcher of another protocol is sent home', async () => {
  house = new House();
  await house.start();
  const launcher = await house.ask(['make'], { protocol: 99 });
  await launcher.expect('ack');
  expect((await launcher.expect('local')).reason).toContain('another version of rch');
});

test('garbage, half frames and a thousand idle connections do not keep a question waiting', async () => {
  house = new House();
  await house.start();
  const idle = await Promise.all(Array.from({ length: 1000 }, () => house.connection()));
  const garbage = await house.connection();
  const closed = new Promise((resolve) =>
    garbage.on('error', () => undefined).on('close', resolve),
  );
  garbage.write(Buffer.alloc(100_000, 0xff));
  garbage.resume();
  await within('the end of the garbage', closed);
  const half = await house.connection();
  half.write(Buffer.from([200, 0, 0, 0, 1, 7]));
  half.resume();
  const launcher = await house.ask(['gcc', '--version']);
  await launcher.expect('ack');
  await launcher.expect('local');
  // It was not first waited for the other half, until that is given up.
  expect(half.readyState).toBe('open');
  for (const socket of [...idle, half]) socket.destroy();
});

test('a broken configuration makes everything local, with file, line and key, until it is mended', async () => {
  house = new House();
  house.write('config.toml', '[general]\nenabled = true\nverbos = true\n');
  await house.start();
  const first = await house.ask(['make']);
  await first.expect('ack');
  const answer = await first.expect('local');
  expect(answer.reason).toContain('everything is local, because');
  expect(answer.reason).toContain('config.toml:3');
  expect(answer.reason).toContain('verbos');
  const status = await house.call('status', {});
  expect(status.config.problems).toMatchObject([{ line: 3, key: 'general.verbos' }]);

  house.write('config.toml', '[general]\nverbose = true\n');
  expect(await house.call('reload', {})).toEqual({ problems: [] });
  const second = await house.ask(['make']);
  await second.expect('ack');
  expect(await second.expect('local')).toMatchObject({
    reason: 'no worker is configured',
    notice: 'rch: local: no worker is configured',
  });
});

test('the history survives a kill -9, a torn last line and a damaged file', async () => {
  house = new House();
  await house.start();
  const launcher = await house.ask(['make', 'one']);
  await launcher.expect('ack');
  await launcher.expect('local');
  const file = join(house.layout.state, 'history.jsonl');
  await house.recorded('make one');
  await house.crash();
  appendFileSync(file, '{"id":"torn');
  await house.start();
  expect(await house.call('history', { n: 5 })).toMatchObject([{ command: 'make one' }]);
  expect(readFileSync(file, 'utf8')).not.toContain('torn');

  await house.crash();
  const good = readFileSync(file, 'utf8');
  writeFileSync(file, `no record at all\n${good}`);
  await house.start();
  expect(await house.call('history', { n: 5 })).toMatchObject([{ command: 'make one' }]);
  const rows = readFileSync(file, 'utf8').trimEnd().split('\n');
  expect(rows.map((row) => JSON.parse(row) as unknown)).toEqual([JSON.parse(good)]);
  expect(existsSync(`${file}.corrupt`)).toBe(true);
  const log = join(house.layout.state, 'log', 'rchd.log');
  await house.until('the log', () => readFileSync(log, 'utf8').includes('history.jsonl.corrupt'));
});

test('a state folder that cannot be written stops no question', async () => {
  house = new House();
  mkdirSync(join(house.layout.state, '..'), { recursive: true });
  writeFileSync(house.layout.state, 'a file where a folder should be');
  await house.start();
  const launcher = await house.ask(['make']);
  await launcher.expect('ack');
  await launcher.expect('local');
  expect(await house.call('history', { n: 1 })).toHaveLength(1);
});

test('no setting of whoever started the daemon counts, and no environment is written down', async () => {
  house = new House();
  await house.start({ RCH_VERBOSE: '1', RCH_LOCAL_ONLY: '1', SOME_SECRET: 'hush-hush' });
  const launcher = await house.ask(['make'], {
    env: [Buffer.from('PATH=/usr/bin:/bin'), Buffer.from('MY_TOKEN=hush-hush')],
  });
  await launcher.expect('ack');
  expect(await launcher.expect('local')).toMatchObject({
    reason: 'no worker is configured',
    notice: '',
  });
  await house.call('stop', {});
  await within(
    'the files',
    (async () => {
      while (existsSync(house.socket)) await new Promise((resolve) => setImmediate(resolve));
    })(),
  );
  const files = readdirSync(house.layout.state, { recursive: true, withFileTypes: true });
  for (const file of files.filter((each) => each.isFile()))
    expect(readFileSync(join(file.parentPath, file.name), 'utf8')).not.toContain('hush-hush');
});

test('stop ends the links, removes the socket and leaves the mark until the next start', async () => {
  house = new House();
  house.workers('css');
  await house.listenForLinks();
  const daemon = await house.start();
  const link = await house.link();
  await link.connected();
  const ended = once(daemon, 'exit');
  expect(await stopDaemon(house.layout)).toEqual({ ok: true, value: 'stopped' });
  expect((await ended)[0]).toBe(0);
  expect(hasEnded(link.pid)).toBe(true);
  expect(existsSync(house.socket)).toBe(false);
  expect(existsSync(join(house.layout.run, 'stopped'))).toBe(true);
  expect(await stopDaemon(house.layout)).toEqual({ ok: true, value: 'was not running' });

  expect(await ensureDaemon(house.layout)).toMatchObject({ ok: false });
  const again = await ensureDaemon(house.layout, { explicit: true });
  expect(again.ok).toBe(true);
  if (again.ok) again.value.close();
  expect(existsSync(join(house.layout.run, 'stopped'))).toBe(false);
  expect(await stopDaemon(house.layout, { now: true })).toEqual({ ok: true, value: 'stopped' });
});

test('a hung daemon is ended by signal', async () => {
  house = new House();
  const daemon = await house.start();
  const { pid } = await house.call('status', {});
  process.kill(pid, 'SIGSTOP');
  const ended = once(daemon, 'exit');
  const stopping = stopDaemon(house.layout, { now: true, patienceMs: 300 });
  expect(await within('stop', stopping)).toEqual({ ok: true, value: 'stopped' });
  expect((await ended)[1]).toBe('SIGKILL');
});

test('a method that the daemon does not know, and parameters that are none, are failures with words', async () => {
  house = new House();
  await house.start();
  const client = await DaemonClient.connect(house.layout);
  if (!client.ok) throw new Error(client.failure.reason);
  const wrong = await client.value.call('history', { n: -1 });
  expect(wrong).toMatchObject({ ok: false });
  expect(wrong.ok ? '' : wrong.failure.reason).toContain('history: n');
  const unknown = await client.value.call('frobnicate' as 'status', {});
  expect(unknown.ok ? '' : unknown.failure.reason).toContain('knows no method frobnicate');
  client.value.close();
});
