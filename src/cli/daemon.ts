/** `rch daemon start|stop|restart|status`. */
import { existsSync } from 'node:fs';
import { frontSocket, stoppedMark } from '../base/layout.ts';
import { ok } from '../base/result.ts';
import { DaemonClient } from '../client/daemon-client.ts';
import { ensureDaemon, stopDaemon } from '../client/daemon-process.ts';
import { startedByUnit } from './daemon-unit.ts';
import type { StatusReply } from '../protocol/methods.ts';
import { duration } from './render/text.ts';
import { exitCodes, type Context, type Outcome, type Report } from './report.ts';

function running(status: StatusReply, said: string): Report {
  const { pid, socket, version, startedAt, uptimeMs, log, memory } = status;
  return {
    facts: { running: true, pid, socket, version, startedAt, uptimeMs, log, memory },
    text: ({ colors }) =>
      `${colors.green(said)} (pid ${pid}, version ${version}, up ${duration(uptimeMs)})\nsocket ${socket}\nlog    ${log}`,
  };
}

/** The status of a daemon that is there, and the connection closed again. */
async function statusOf(client: DaemonClient, said: string): Promise<Outcome> {
  const status = await client.call('status', {}, { timeoutMs: 10_000 });
  client.close();
  return status.ok ? ok(running(status.value, said)) : status;
}

export async function daemonStart(context: Context): Promise<Outcome> {
  const { layout } = context;
  const before = await DaemonClient.connect(layout);
  if (before.ok) return statusOf(before.value, 'the daemon runs already');
  await startedByUnit(context);
  const client = await ensureDaemon(layout, { explicit: true });
  return client.ok ? statusOf(client.value, 'started the daemon') : client;
}

export async function daemonStop({ layout }: Context, now: boolean): Promise<Outcome> {
  const stopped = await stopDaemon(layout, { now });
  if (!stopped.ok) return stopped;
  const was = stopped.value === 'stopped';
  return ok({
    facts: { stopped: was },
    text: () =>
      `${was ? 'stopped the daemon' : 'the daemon was not running'}; commands run locally until \`rch daemon start\``,
  });
}

export async function daemonRestart(context: Context, now: boolean): Promise<Outcome> {
  const { layout } = context;
  const stopped = await stopDaemon(layout, { now, restart: true });
  if (!stopped.ok) return stopped;
  await startedByUnit(context);
  const client = await ensureDaemon(layout, { explicit: true });
  return client.ok ? statusOf(client.value, 'restarted the daemon') : client;
}

export async function daemonStatus({ layout, version }: Context): Promise<Outcome> {
  const client = await DaemonClient.connect(layout);
  if (client.ok) return statusOf(client.value, 'the daemon runs');
  if (client.failure.kind !== 'absent') return client;
  const stopped = existsSync(stoppedMark(layout));
  return ok({
    facts: { running: false, stopped, pid: null, socket: frontSocket(layout), version },
    text: () =>
      stopped
        ? 'the daemon was stopped; start it by `rch daemon start`'
        : 'the daemon is not running; the next command through a shim starts it, or `rch daemon start`',
    exit: exitCodes.notRunning,
  });
}
