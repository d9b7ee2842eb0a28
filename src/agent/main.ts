/**
 * The agent's command line:
 * ```
 * node rch-wkr.mjs serve --folder F --socket S [--parent PID] [--idle SECONDS] [--without METHOD]
 * node rch-wkr.mjs version
 * ```
 * `serve` stays until it was idle for SECONDS (900), PID or the folder is gone, SIGTERM, or SIGUSR2 where nobody needs it. Exit code
 * 0 then, and when another agent has the folder and stays: then S leads to that one. 1 when it cannot serve, with the reason on stderr. It prints `ready` and a
 * newline on stdout once the socket answers. `--without` names a sandbox method not to use (tests).
 */
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startTimeOf } from '../base/processes.ts';
import { RunFolder } from '../base/run-folder.ts';
import { messageOf } from '../base/result.ts';
import { LEAST_DISK, roomOf } from '../facts/machine.ts';
import { Agent } from './agent.ts';
import { openFolder, type AgentFolder } from './folder.ts';
import { isGone, LEAVE, succeed, type Lock } from './lock.ts';
import { openLog, type Log } from './log.ts';
import { AgentServer } from './server.ts';

const IDLE_SECONDS = 900;
/** How often a parent, and the folder, is looked for, ms. */
const LOOK_EVERY = 1000;
/** An agent that begins may put the lock aside for a moment; one that is missed so many times in a row is gone. */
const MISSED = 3;

/** Behind what could not be made. */
const FULL = '; the disk is full, or has no inodes left (df -h, df -i)';

const version = process.env['RCH_BUILD_VERSION'] ?? '0';

function leave(reason: string): never {
  process.stderr.write(`rch-wkr: ${reason}\n`);
  process.exit(1);
}

/** Calls `gone` once the process is: also when its pid was given to another. */
function watchParent(pid: number, gone: () => void): void {
  const started = startTimeOf(pid);
  setInterval(() => {
    if (started === undefined || startTimeOf(pid) !== started) gone();
  }, LOOK_EVERY);
}

/**
 * Calls `gone` once the folder is no longer ours: somebody removed it, or another agent took it. Whoever is connected
 * comes back to an agent that makes all of it anew. Other parts of it are made anew when they are needed.
 */
function watchFolder({ path, run, trees }: AgentFolder, lock: Lock, gone: () => void): void {
  let missed = 0;
  setInterval(() => {
    missed = lock.lost() || [path, run, trees].some(isGone) ? missed + 1 : 0;
    if (missed === MISSED) gone();
  }, LOOK_EVERY).unref();
}

type ServeOptions = {
  readonly folder: string;
  readonly socket: string;
  readonly parent: string | undefined;
  readonly idle: number;
  readonly without: readonly string[];
};

/** Undoes what `start` set for the Node it brought (daemon/transport/start-script.ts): no tool may load its libraries. */
function restoreLibraryPath(): void {
  const own = process.env['RCH_WKR_LIBRARY_PATH'];
  if (own === undefined) return;
  delete process.env['RCH_WKR_LIBRARY_PATH'];
  if (own === '') delete process.env['LD_LIBRARY_PATH'];
  else process.env['LD_LIBRARY_PATH'] = own;
}

/** Before anything is swept: what runs may be another agent's, and then there is nothing to do for us. */
async function takeFolder(folder: AgentFolder, socket: string, log: Log): Promise<Lock> {
  const lock = await succeed(join(folder.run, 'agent.lock'), socket);
  if (lock.ok) return lock.value;
  log(lock.failure.reason);
  process.stderr.write(`rch-wkr: ${lock.failure.reason}\n`);
  process.exit(0);
}

async function serve(options: ServeOptions): Promise<void> {
  const request = new Request();
  restoreLibraryPath();
  process.umask(0o077);
  process.chdir('/');
  const folder = openFolder(options.folder);
  if (!folder.ok) leave(folder.failure.reason);
  const run = RunFolder.create(dirname(options.socket));
  if (!run.ok) leave(run.failure.reason);
  const log = openLog(folder.value.log);
  const lock = await takeFolder(folder.value, options.socket, log);
  const agent = await Agent.open({
    folder: folder.value,
    lib: dirname(fileURLToPath(import.meta.url)),
    log,
    version,
    name: basename(options.socket, '.sock'),
    path: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    without: options.without,
  });
  if (!agent.ok) {
    lock.release();
    const full = (await roomOf(options.folder)) < LEAST_DISK;
    leave(`${agent.failure.reason}${full ? FULL : ''}`);
  }
  const server = await AgentServer.listen(run.value.address(options.socket), lock, agent.value);
  if (!server.ok) {
    log(server.failure.reason);
    agent.value.close();
    process.stderr.write(`rch-wkr: ${server.failure.reason}\n`);
    process.exit(/another agent/.test(server.failure.reason) ? 0 : 1);
  }
  const stop = (reason: string): void => {
    log(`stopping: ${reason}`);
    server.value.close();
    agent.value.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop(signal);
    });
  }
  process.on('uncaughtException', (error) => {
    log(`a bug: ${error.stack ?? error.message}`);
    process.stderr.write(`rch-wkr: ${error.stack ?? error.message}\n`);
    agent.value.close();
    process.exit(1);
  });
  if (options.parent !== undefined)
    watchParent(Number(options.parent), () => {
      stop('the parent is gone');
    });
  watchFolder(folder.value, lock, () => {
    stop("its folder was removed, or is another agent's");
  });
  leaveWhenIdle(agent.value, { seconds: options.idle, request }, stop);
  log(`serving ${options.socket}`);
  process.stdout.write('ready\n');
}

/** Another version asks us to make room; it may do so before there is anything to leave. */
class Request {
  made = false;
  heard: () => void = () => undefined;

  constructor() {
    process.on(LEAVE, () => {
      this.made = true;
      this.heard();
    });
  }
}

type Leaving = { readonly seconds: number; readonly request: Request };

/** Nobody needs it for so long; or no more, when another version waits for its place. */
function leaveWhenIdle(
  agent: Agent,
  { seconds, request }: Leaving,
  stop: (reason: string) => void,
): void {
  const makeRoom = (): void => {
    if (request.made && agent.idle) stop('another version takes its place');
  };
  request.heard = makeRoom;
  const timer = setTimeout(() => {
    if (agent.idle) stop('nobody needs it');
  }, seconds * 1000);
  agent.onIdle = () => {
    timer.refresh();
    makeRoom();
  };
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      folder: { type: 'string' },
      socket: { type: 'string' },
      parent: { type: 'string' },
      idle: { type: 'string' },
      without: { type: 'string', multiple: true },
    },
  });
  if (positionals[0] === 'version') {
    process.stdout.write(`${version}\n`);
    return;
  }
  const { folder, socket, parent } = values;
  if (positionals[0] !== 'serve' || folder === undefined || socket === undefined)
    leave(
      'usage: rch-wkr.mjs serve --folder F --socket S [--parent PID] [--idle SECONDS] | version',
    );
  const idle = Number(values.idle ?? IDLE_SECONDS);
  await serve({ folder, socket, parent, idle, without: values.without ?? [] });
}

main().catch((thrown: unknown) => {
  leave(messageOf(thrown));
});
