/** `rch daemon enable` against a stand-in for systemctl(1) that runs the unit's ExecStart and notes what it was asked. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Line } from './rig.ts';

let line: Line;
let env: Record<string, string>;
const unit = (): string => join(line.world.home, '.config', 'systemd', 'user', 'rchd.service');
const asked = (): string[] =>
  readFileSync(join(line.world.root, 'asked'), 'utf8').trim().split('\n');

beforeAll(async () => {
  line = await Line.create('');
  const folder = join(line.world.root, 'bin');
  mkdirSync(folder);
  const script = `#!/bin/sh
echo "$*" >>"${line.world.root}/asked"
case $2 in start | restart)
  command=$(sed -n 's/^ExecStart=//p' "${unit()}")
  eval "setsid $command </dev/null >/dev/null 2>&1 &" ;;
esac
exit 0
`;
  writeFileSync(join(folder, 'systemctl'), script, { mode: 0o755 });
  env = { PATH: `${folder}:${line.world.env['PATH'] ?? ''}` };
});
afterAll(async () => {
  await line.world.dispose();
});

it('says what else there is where no systemd answers', async () => {
  const folder = mkdtempSync(join(line.world.root, 'none-'));
  const script = '#!/bin/sh\necho "Failed to connect to bus" >&2\nexit 1\n';
  writeFileSync(join(folder, 'systemctl'), script, { mode: 0o755 });
  const said = await line.say(['daemon', 'enable'], { PATH: `${folder}:${env['PATH'] ?? ''}` });
  expect(said.code).toBe(1);
  expect(said.err).toContain('Failed to connect to bus');
  expect(said.err).toContain('rch daemon start');
  expect(existsSync(unit())).toBe(false);
});

it('enable writes the unit and leaves a daemon that systemd started; start and restart leave it to systemd', async () => {
  rmSync(join(line.world.root, 'asked'), { force: true });
  const said = await line.say(['daemon', 'enable'], env);
  expect(said).toMatchObject({ code: 0, err: '' });
  expect(asked()).toEqual([
    '--user show-environment',
    '--user daemon-reload',
    '--user enable rchd.service',
    '--user restart rchd.service',
  ]);
  const status = (await line.facts(['daemon', 'status'])) as { running: boolean; pid: number };
  expect(status.running).toBe(true);
  expect(readFileSync(`/proc/${status.pid}/cmdline`, 'utf8')).toContain('--foreground');

  expect((await line.say(['daemon', 'stop'], env)).code).toBe(0);
  expect((await line.say(['daemon', 'start'], env)).code).toBe(0);
  expect(asked().at(-1)).toBe('--user start rchd.service');
});

it('systemd gives the daemon more time to end than running commands get', async () => {
  line.world.writeConfig('config.toml', '');
  expect((await line.say(['daemon', 'enable'], env)).code).toBe(0);
  expect(readFileSync(unit(), 'utf8')).toContain('\nTimeoutStopSec=70\n');
  line.world.writeConfig('config.toml', '[daemon]\ndrain_timeout_sec = 3600\n');
  expect((await line.say(['daemon', 'enable'], env)).code).toBe(0);
  expect(readFileSync(unit(), 'utf8')).toContain('\nTimeoutStopSec=3640\n');
});

it('disable removes the unit, also twice', async () => {
  expect((await line.say(['daemon', 'enable'], env)).code).toBe(0);
  expect((await line.say(['daemon', 'disable'], env)).out).toContain('no longer starts');
  expect(existsSync(unit())).toBe(false);
  expect(asked().slice(-2)).toEqual(['--user disable --now rchd.service', '--user daemon-reload']);
  expect((await line.say(['daemon', 'disable'], env)).code).toBe(0);
});

it('the unit keeps odd characters of a path as they are', async () => {
  const { unitText } = await import('../../src/cli/daemon-unit.ts');
  const { layoutFor } = await import('../../src/base/layout.ts');
  const text = unitText(layoutFor({ HOME: '/h' }, '/h/100% "a" $b'), '/h');
  expect(text).toContain('"/h/100%% \\"a\\" $$b/lib/rchd.mjs"');
});
