/** Takes the front's socket: folder checked, lock, stale socket probed and removed, bound with mode 0600. */
import { lstatSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { daemonLock, frontSocket, type Layout } from '../../src/base/layout.ts';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import { RunFolder } from '../../src/base/run-folder.ts';
import { inodeOf } from '../../src/tree/listing.ts';
import { takeLock } from './lock.ts';

/** Connections at once; far above any build, below the usual limit of descriptors. */
const MOST_CONNECTIONS = 8192;
const BACKLOG = 1024;
/** ms for a program behind an old socket to take a connection. */
const PROBE = 1000;

/** Whether a live program listens at `address`. */
function listens(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: address });
    const done = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    // A full backlog is a program too, be it hung.
    const timer = setTimeout(() => {
      done(true);
    }, PROBE);
    socket.once('connect', () => {
      done(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      done(error.code === 'EAGAIN');
    });
  });
}

async function clearStale(path: string, address: string): Promise<Result<void>> {
  try {
    if (!lstatSync(path).isSocket()) return fail(`${path} is in the way: it is no socket`);
  } catch {
    return ok(undefined);
  }
  if (await listens(address)) return fail(`another program listens on ${path}`);
  try {
    unlinkSync(path);
  } catch (thrown) {
    return fail(`the stale socket ${path} cannot be removed: ${messageOf(thrown)}`);
  }
  return ok(undefined);
}

function bind(server: Server, address: string): Promise<Result<void>> {
  return new Promise((resolve) => {
    server.once('error', (error) => {
      resolve(fail(`cannot listen on ${address}: ${error.message}`));
    });
    // bind(2) happens inside listen(): the umask holds for it alone.
    const umask = process.umask(0o177);
    try {
      server.listen({ path: address, backlog: BACKLOG }, () => {
        resolve(ok(undefined));
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Folders of ssh masters (daemon/transport/system-ssh.ts) whose link was killed before it could remove them. */
function sweepMasters(run: string): void {
  for (const name of readdirSync(run))
    if (/^ssh-.{6}$/.test(name)) rmSync(join(run, name), { recursive: true, force: true });
}

function inodeAt(path: string): string | undefined {
  const info = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return info === undefined ? undefined : inodeOf(info);
}

export type Listener = {
  readonly path: string;
  /** Whether the socket is still where launchers look for it: where it was removed, they start another daemon. */
  readonly stands: () => boolean;
  /** Ends listening and removes the socket. */
  readonly close: () => void;
};

/** Starts to listen; from the moment this settles, `onConnection` is called. */
export async function listen(
  layout: Layout,
  onConnection: (socket: Socket) => void,
): Promise<Result<Listener>> {
  const folder = RunFolder.create(layout.run);
  if (!folder.ok) return folder;
  const locked = takeLock(daemonLock(layout));
  if (!locked.ok) return locked;
  sweepMasters(layout.run);
  const path = frontSocket(layout);
  // The folder stays open: the address may lead through its descriptor, also when the socket is removed.
  const address = folder.value.address(path);
  const cleared = await clearStale(path, address);
  if (!cleared.ok) return cleared;
  const server = createServer(onConnection);
  server.maxConnections = MOST_CONNECTIONS;
  const bound = await bind(server, address);
  if (!bound.ok) return bound;
  server.on('error', () => undefined);
  const inode = inodeAt(path);
  return ok({
    path,
    // One that was removed before it was looked at stands no more.
    stands: () => inode !== undefined && inodeAt(path) === inode,
    close: () => {
      server.close();
    },
  });
}
