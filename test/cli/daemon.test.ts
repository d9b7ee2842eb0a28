import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTimeOf } from '../../src/base/processes.ts';
import { Line } from './rig.ts';
import { clear } from '../rig/processes.ts';

let line: Line;
beforeAll(async () => {
  line = await Line.create();
});
afterAll(async () => {
  await line.world.dispose();
});

it('starts, tells of itself, is restarted and stopped', async () => {
  expect(await line.say(['daemon', 'status'])).toMatchObject({ code: 3 });
  expect(await line.facts(['daemon', 'status'])).toMatchObject({ running: false, pid: null });

  const started = await line.say(['daemon', 'start']);
  expect(started.code).toBe(0);
  expect(started.out).toContain('started the daemon (pid ');
  const first = (await line.facts(['daemon', 'status'])) as { pid: number };
  expect(first).toMatchObject({
    running: true,
    socket: `${line.world.data}/run/front.sock`,
    version: expect.any(String) as string,
  });
  expect((await line.say(['daemon', 'start'])).out).toContain('the daemon runs already');

  expect((await line.say(['daemon', 'restart'])).out).toContain('restarted the daemon');
  const second = (await line.facts(['daemon', 'status'])) as { pid: number };
  expect(second.pid).not.toBe(first.pid);

  expect((await line.say(['daemon', 'stop'])).out).toContain('stopped the daemon');
  expect(await line.facts(['daemon', 'status'])).toMatchObject({ running: false, stopped: true });
  // Its parent may not have waited for it yet.
  expect(startTimeOf(second.pid)).toBeUndefined();
  expect((await line.say(['daemon', 'stop'])).out).toContain('was not running');
});

it('says what a stopped daemon means for what needs one', async () => {
  await line.say(['daemon', 'stop']);
  const said = await line.say(['history']);
  expect(said.code).toBe(1);
  expect(said.err).toContain('rch daemon start');
});

it('remembers commands: history, why and logs', async () => {
  await line.say(['daemon', 'stop']);
  clear(join(line.world.home, '.local', 'state', 'rch'));
  await line.say(['daemon', 'start']);
  expect(await line.facts(['history', '-n', '5'])).toEqual([]);
  expect((await line.say(['why'])).err).toContain('no command has come through the shims yet');

  await line.say(['exec', '--', 'make', '--version'], {}, '/tmp');
  const rows = (await line.facts(['history', '-n', '1'])) as Record<string, unknown>[];
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({
    argv: ['make', '--version'],
    command: 'make --version',
    cwd: '/tmp',
    decision: 'local',
    worker: null,
    exit: null,
    signal: null,
    phases: expect.any(Object) as object,
    bytes: { sent: 0, received: 0, output: 0 },
  });
  const why = await line.say(['why'], {}, '/tmp');
  expect(why.out).toContain('make --version\nran here: ');
  const id = String(rows[0]?.['id']);
  expect(((await line.facts(['why', id.slice(0, 8)])) as { record: unknown }).record).toMatchObject(
    { id },
  );
  expect((await line.say(['history'])).out).toContain(id.slice(0, 8));
  expect((await line.say(['daemon', 'logs', '-n', '5'])).out).toMatch(/info .*version=/);
  expect((await line.say(['status'])).out).toContain('1 local');
  await line.say(['daemon', 'stop']);
});
