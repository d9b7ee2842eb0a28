/** Starts and stops the daemon for the command line. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { daemonLock, daemonLog, stoppedMark, type Layout } from '../base/layout.ts';
import { startTimeOf } from '../base/processes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { RunFolder } from '../base/run-folder.ts';
import { DaemonClient } from './daemon-client.ts';

/** ms between looks at a daemon that comes up or goes down. */
const LOOK = 10;
/** ms a start may take on an overloaded machine. */
const START_DEADLINE = 60_000;
/** ms for a daemon to answer, or to end after it said it would. */
const STOP_DEADLINE = 15_000;
/** ms that a daemon may take to end its links beside the time that it gives running jobs. */
const STOP_LONGEST = 40_000;

/** The Node that runs our programs: the one the installer chose, else the one that runs us. */
export function nodeOf(layout: Layout): string {
  const own = join(layout.lib, 'node');
  return existsSync(own) ? own : process.execPath;
}

function spawnDaemon(layout: Layout): { child: ChildProcess; complaint: () => string } {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('RCH_')),
  );
  const child = spawn(nodeOf(layout), [join(layout.lib, 'rchd.mjs'), '--background'], {
    cwd: '/',
    env,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let told = '';
  child.stderr.on('data', (chunk: Buffer) => {
    told = (told + chunk.toString('utf8')).slice(-2000);
  });
  child.on('error', (error) => {
    told += error.message;
  });
  return { child, complaint: () => told.trim() };
}

/** Lets go of the child, so that neither this process nor the daemon hangs on the other. */
function release(child: ChildProcess): void {
  child.stderr?.destroy();
  child.unref();
}

/**
 * Connects to the daemon, and starts it first where none runs. Without `explicit`, a daemon that the user has
 * stopped stays so and this fails; `explicit` (rch daemon start) takes the mark away.
 */
export async function ensureDaemon(
  layout: Layout,
  options: { readonly explicit?: boolean } = {},
): Promise<Result<DaemonClient>> {
  if (options.explicit === true) rmSync(stoppedMark(layout), { force: true });
  const running = await DaemonClient.connect(layout);
  if (running.ok) return running;
  if (running.failure.kind !== 'absent') return running;
  if (existsSync(stoppedMark(layout))) {
    return fail('the daemon was stopped by rch daemon stop', 'rch daemon start');
  }
  const { child, complaint } = spawnDaemon(layout);
  try {
    return await connected(layout, child, complaint);
  } finally {
    release(child);
  }
}

async function connected(
  layout: Layout,
  child: ChildProcess,
  complaint: () => string,
): Promise<Result<DaemonClient>> {
  const till = performance.now() + START_DEADLINE;
  for (;;) {
    const gone = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
    const client = await DaemonClient.connect(layout);
    if (client.ok) return client;
    if (client.failure.kind !== 'absent') return client;
    // Another starter was quicker (a launcher that waits for its job); that daemon is about to listen.
    const other = gone && existsSync(daemonLock(layout)) && lockHolder(layout) !== undefined;
    if (gone && !other) {
      await delay(0);
      return fail(
        `the daemon did not start: ${complaint() || `it ended with ${child.exitCode ?? child.signalCode ?? 'an error'}`}`,
        `see ${daemonLog(layout)}`,
      );
    }
    if (performance.now() > till) {
      return fail('the daemon did not come up in time', `see ${daemonLog(layout)}`);
    }
    await delay(LOOK);
  }
}

export type StopOptions = {
  /** End running jobs instead of waiting for them. */
  readonly now?: boolean;
  /** For a restart: launchers may start the daemon again, and unless `now`, running jobs are left to that one. */
  readonly restart?: boolean;
  /** ms for a daemon that was asked, then for one that was signalled; by default STOP_DEADLINE. */
  readonly patienceMs?: number;
};

/**
 * Stops the daemon and waits until it is gone. Leaves the mark that keeps launchers from starting it. A daemon
 * that does not listen to reason is ended by signal.
 */
export async function stopDaemon(
  layout: Layout,
  options: StopOptions = {},
): Promise<Result<'stopped' | 'was not running'>> {
  const patience = options.patienceMs ?? STOP_DEADLINE;
  const folder = RunFolder.create(layout.run);
  if (!folder.ok) return folder;
  folder.value.close();
  if (options.restart !== true) writeFileSync(stoppedMark(layout), '', { mode: 0o600 });
  const client = await DaemonClient.connect(layout);
  if (!client.ok && client.failure.kind === 'foreign') return client;
  const holder = lockHolder(layout);
  if (client.ok) {
    const asked = await client.value.call(
      'stop',
      { now: options.now ?? false, handover: options.restart ?? false },
      { timeoutMs: patience },
    );
    if (asked.ok) {
      const longest = asked.value.withinMs + STOP_LONGEST;
      await Promise.race([client.value.closed, delay(longest, undefined, { ref: false })]);
    }
    client.value.close();
  }
  if (holder === undefined) return ok(client.ok ? 'stopped' : 'was not running');
  if (!client.ok) holder.signal('SIGTERM');
  if (await vanished(holder, patience)) return ok('stopped');
  holder.signal('SIGKILL');
  if (await vanished(holder, STOP_DEADLINE)) return ok('stopped');
  return fail(`the daemon (process ${holder.pid}) cannot be ended`);
}

type Holder = {
  readonly pid: number;
  readonly alive: () => boolean;
  readonly signal: (name: NodeJS.Signals) => void;
};

/** The daemon that lives according to the lock file ("PID START\n"), by pid and start time. */
function lockHolder(layout: Layout): Holder | undefined {
  let text: string;
  try {
    text = readFileSync(daemonLock(layout), 'utf8');
  } catch {
    return undefined;
  }
  const [pidText, start] = text.trim().split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 1 || start === undefined) return undefined;
  const alive = (): boolean => startTimeOf(pid)?.toString() === start;
  if (!alive()) return undefined;
  return {
    pid,
    alive,
    signal: (name) => {
      if (alive()) process.kill(pid, name);
    },
  };
}

async function vanished(holder: Holder, deadline: number): Promise<boolean> {
  const till = performance.now() + deadline;
  while (holder.alive()) {
    if (performance.now() > till) return false;
    await delay(LOOK);
  }
  return true;
}
