/** `rch doctor`: the resident daemon. */
import { chmodSync, existsSync } from 'node:fs';
import { daemonLog, stoppedMark } from '../../base/layout.ts';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { ownView } from '../../base/view.ts';
import { DaemonClient, type ConnectFailure } from '../../client/daemon-client.ts';
import { ensureDaemon, stopDaemon } from '../../client/daemon-process.ts';
import type { StatusReply } from '../../protocol/methods.ts';
import type { Context } from '../report.ts';
import { duration, size } from '../render/text.ts';
import { failed, pass, type Check } from './check.ts';

const STATUS_MS = 10_000;
const running = { id: 'daemon.running', title: 'running' };
const place = { id: 'daemon.place', title: 'place' };
const log = { id: 'daemon.log', title: 'log' };
const version = { id: 'daemon.version', title: 'version' };

async function start({ layout }: Context): Promise<Result<string>> {
  const client = await ensureDaemon(layout, { explicit: true });
  if (!client.ok) return client;
  client.value.close();
  return ok('started the daemon');
}

async function restart(context: Context): Promise<Result<string>> {
  const stopped = await stopDaemon(context.layout, { restart: true });
  if (!stopped.ok) return stopped;
  const started = await start(context);
  return started.ok ? ok('restarted the daemon; what runs on workers goes on') : started;
}

function close(folder: string): Result<string> {
  try {
    chmodSync(folder, 0o700);
    return ok(`${folder} has mode 0700`);
  } catch (thrown) {
    return fail(`${folder}: ${messageOf(thrown)}`);
  }
}

function absent(context: Context, failure: ConnectFailure): Check {
  const { layout } = context;
  switch (failure.kind) {
    case 'absent': {
      const stopped = existsSync(stoppedMark(layout));
      const why = stopped
        ? 'it was stopped by `rch daemon stop`: every command runs here'
        : 'it is not running; the next command through a shim starts it';
      return failed(running, why, { mend: 'rch daemon start', fix: () => start(context) });
    }
    case 'hung':
      return failed(running, `${failure.reason} (its log: ${daemonLog(layout)})`, {
        mend: 'rch daemon restart',
        fix: () => restart(context),
      });
    case 'foreign': {
      const mend = failure.next ?? `look who owns ${layout.run}: ls -ld '${layout.run}'`;
      return mend.startsWith('chmod')
        ? failed(running, failure.reason, {
            mend,
            fix: () => Promise.resolve(close(layout.run)),
          })
        : failed(running, failure.reason, { mend });
    }
  }
}

function versionCheck(context: Context, status: StatusReply): Check {
  return status.version === context.version
    ? pass(version, `${status.version}, as this command`)
    : failed(version, `the daemon is ${status.version}, this command ${context.version}`, {
        mend: 'rch daemon restart',
        fix: () => restart(context),
      });
}

/** A daemon that a container or a sandbox started keeps everything of everybody else here. */
function placeCheck(context: Context, { view }: StatusReply): Check[] {
  if (view === '' || view === ownView()) return [];
  const why = 'it runs in another container or mount namespace: every command from here stays here';
  return [failed(place, why, { mend: 'rch daemon restart', fix: () => restart(context) })];
}

function logCheck({ logTrouble, log: file }: StatusReply): Check {
  return logTrouble === ''
    ? pass(log, file)
    : failed(log, `nothing is written to it: ${logTrouble}`, {
        mend: `make that a file that you may write, or: rch config set --user general.log_file FILE`,
      });
}

export async function checkDaemon(context: Context): Promise<Check[]> {
  const client = await DaemonClient.connect(context.layout);
  if (!client.ok) return [absent(context, client.failure)];
  const status = await client.value.call('status', {}, { timeoutMs: STATUS_MS });
  client.value.close();
  if (!status.ok)
    return [
      failed(running, status.failure.reason, {
        mend: 'rch daemon restart',
        fix: () => restart(context),
      }),
    ];
  const { pid, uptimeMs, memory } = status.value;
  return [
    pass(running, `pid ${pid}, up ${duration(uptimeMs)}, ${size(memory)}`),
    versionCheck(context, status.value),
    ...placeCheck(context, status.value),
    logCheck(status.value),
  ];
}
