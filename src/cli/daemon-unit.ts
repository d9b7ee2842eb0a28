/** `rch daemon enable|disable`: the daemon as a unit of the user's systemd, started with the session. */
import { execa } from 'execa';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stoppedMark, type Layout } from '../base/layout.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { loadConfig } from '../config/load.ts';
import { defaultConfig } from '../config/schema.ts';
import { DaemonClient } from '../client/daemon-client.ts';
import { nodeOf, stopDaemon } from '../client/daemon-process.ts';
import type { Context, Outcome } from './report.ts';

const UNIT = 'rchd.service';
/** ms for systemctl to answer, and for the daemon to come up. */
const SYSTEMCTL_MS = 20_000;
const START_MS = 15_000;
const LOOK_MS = 20;

export function unitFile(layout: Layout): string {
  return join(dirname(layout.config), 'systemd', 'user', UNIT);
}

/** Quoted for a command line of systemd.service(5): specifiers and variables of its own stand doubled. */
function quoted(word: string): string {
  const escaped = word.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return `"${escaped}"`;
}

/** Seconds beyond daemon.drain_timeout_sec for what is being placed here to get done. */
const LAST_SEC = 40;
const LEAST_STOP_SEC = 60;

/** Seconds that systemd gives the daemon to end; longer than what running commands get by the configuration. */
function stopSec(layout: Layout, home: string | undefined): number {
  const config = loadConfig(layout, { HOME: home });
  const { drainTimeoutSec } = (config.ok ? config.value.config : defaultConfig()).daemon;
  return Math.ceil(Math.max(LEAST_STOP_SEC, drainTimeoutSec + LAST_SEC));
}

/**
 * The text of the unit. rchd ends with 1 where another daemon holds the lock, which is no reason to try again, with
 * 70 where it failed itself, and with 0 where it was asked to stop; running jobs get their time by SIGTERM.
 */
export function unitText(layout: Layout, home: string | undefined): string {
  const program = [nodeOf(layout), join(layout.lib, 'rchd.mjs'), '--foreground'];
  return `# Written by \`rch daemon enable\`; removed by \`rch daemon disable\`.
[Unit]
Description=rch: runs builds on your other machines

[Service]
Type=exec
ExecCondition=/bin/sh -c 'test ! -e "$$1"' sh ${quoted(stoppedMark(layout))}
ExecStart=${program.map(quoted).join(' ')}
KillMode=mixed
TimeoutStopSec=${stopSec(layout, home)}
Restart=on-failure
RestartPreventExitStatus=1
StandardOutput=null
StandardError=journal

[Install]
WantedBy=default.target
`;
}

async function systemctl(context: Context, ...args: readonly string[]): Promise<Result<undefined>> {
  const ended = await execa('systemctl', ['--user', ...args], {
    env: context.env,
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: SYSTEMCTL_MS,
  });
  if (ended.exitCode === 0) return ok(undefined);
  const said = ended.stderr.trim().split('\n').at(-1) ?? '';
  return fail(`systemctl --user ${args.join(' ')}: ${said === '' ? ended.shortMessage : said}`);
}

async function comesUp(layout: Layout): Promise<boolean> {
  const till = performance.now() + START_MS;
  while (performance.now() < till) {
    const client = await DaemonClient.connect(layout);
    if (client.ok) {
      client.value.close();
      return true;
    }
    await delay(LOOK_MS);
  }
  return false;
}

export async function daemonEnable(context: Context): Promise<Outcome> {
  const { layout } = context;
  const manager = await systemctl(context, 'show-environment');
  if (!manager.ok) {
    const reason = `no systemd of yours answers here: ${manager.failure.reason}`;
    return fail(reason, 'rch daemon start (the shims start the daemon by themselves, too)');
  }
  const file = unitFile(layout);
  // Whatever runs now was not started by systemd, which would wait for its lock in vain.
  const stopped = await stopDaemon(layout, { restart: true });
  if (!stopped.ok) return stopped;
  rmSync(stoppedMark(layout), { force: true });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, unitText(layout, context.env['HOME']));
  for (const args of [['daemon-reload'], ['enable', UNIT], ['restart', UNIT]]) {
    const done = await systemctl(context, ...args);
    if (!done.ok) return fail(done.failure.reason, `journalctl --user -u ${UNIT}`);
  }
  if (!(await comesUp(layout)))
    return fail('the daemon did not come up in time', `journalctl --user -u ${UNIT}`);
  return ok({
    facts: { enabled: true, unit: file },
    text: ({ colors }) =>
      `${colors.green('the daemon starts with your session')}, by ${file}\nundo it by: rch daemon disable`,
  });
}

/** Also where no systemd answers any more: the file goes in any case. */
export async function daemonDisable(context: Context): Promise<Outcome> {
  const file = unitFile(context.layout);
  const was = existsSync(file);
  if (was) {
    await systemctl(context, 'disable', '--now', UNIT);
    rmSync(file, { force: true });
    await systemctl(context, 'daemon-reload');
  }
  return ok({
    facts: { enabled: false, was },
    text: () =>
      was
        ? `removed ${file}; the daemon no longer starts with your session`
        : 'the daemon did not start with your session',
  });
}

/** True when the unit is there and systemd started it: `rch daemon start` leaves it to systemd then. */
export async function startedByUnit(context: Context): Promise<boolean> {
  if (!existsSync(unitFile(context.layout))) return false;
  rmSync(stoppedMark(context.layout), { force: true });
  return (await systemctl(context, 'start', UNIT)).ok && (await comesUp(context.layout));
}
