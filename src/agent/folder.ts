/**
 * The agent's folder on the worker: everything it writes lies below, and nothing outside is ever removed.
 * ```
 * agents/HASH/   the programs (uploaded by the transport; not touched here)
 * run/           sockets and locks of the running agents
 * store/         contents by hash
 * trees/WORKSTATION/ROOT/   meta.json, manifest, stats, t/ (the tree itself)
 * jobs/ID/       what one job needs while it runs: tmp/, passwd, group, owner
 * shims/HASH/    links to tools (src/agent/shim-folders.ts), made anew by each agent
 * past           which jobs began, and which never will (src/agent/past.ts)
 * kept/ID/       results of a job that could not be returned (src/agent/kept.ts)
 * log/           agent.log
 * ```
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fail, messageOf, ok, type Result } from '../base/result.ts';

const execute = promisify(execFile);

/** Names that are removed by one process. */
const MOST_REMOVED = 1000;

export type AgentFolder = {
  readonly path: string;
  readonly run: string;
  readonly store: string;
  readonly trees: string;
  readonly jobs: string;
  readonly shims: string;
  readonly kept: string;
  readonly log: string;
  /** What is being removed: renamed here first, so that a cut in the middle leaves nothing that looks whole. */
  readonly trash: string;
};

/** A folder that is ours alone: real, our own, closed to others. Makes it, and closes it, where it can. */
export function ownFolder(path: string): Result<string> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const info = lstatSync(path);
    if (!info.isDirectory()) return fail(`${path} is not a folder`);
    if (info.uid !== process.getuid?.()) return fail(`${path} belongs to another user`);
    if ((info.mode & 0o077) !== 0) chmodSync(path, 0o700);
    return ok(path);
  } catch (thrown) {
    return fail(`${path} cannot be used: ${messageOf(thrown)}`);
  }
}

/** Checks or makes the folder and its parts. A symlink in place of any of them is refused. */
export function openFolder(path: string): Result<AgentFolder> {
  if (!path.startsWith('/')) return fail(`${path} is not an absolute path`);
  const folder: AgentFolder = {
    path,
    run: join(path, 'run'),
    store: join(path, 'store'),
    trees: join(path, 'trees'),
    jobs: join(path, 'jobs'),
    shims: join(path, 'shims'),
    kept: join(path, 'kept'),
    log: join(path, 'log'),
    trash: join(path, 'trash'),
  };
  for (const part of Object.values(folder)) {
    const checked = ownFolder(part);
    if (!checked.ok) return checked;
  }
  return ok(folder);
}

/** Opens what a job closed to itself (a folder of mode 0), so that it can be removed. Never follows a symlink. */
async function openUp(path: Buffer): Promise<void> {
  const info = await lstat(path).catch(() => undefined);
  if (info?.isDirectory() !== true) return;
  await chmod(path, 0o700).catch(() => undefined);
  const names = await readdir(path, { encoding: 'buffer' }).catch(() => []);
  for (const name of names) await openUp(Buffer.concat([path, Buffer.from('/'), name]));
}

/** Removes a folder inside the agent's, whatever is in it. The path must be one that the agent made. */
export async function discard(folder: AgentFolder, path: string): Promise<void> {
  const doomed = join(folder.trash, randomBytes(8).toString('hex'));
  try {
    // Somebody may have removed it: all here is a cache.
    if (!existsSync(folder.trash)) mkdirSync(folder.trash, { mode: 0o700 });
    // At once: the agent may end before anything else is done.
    renameSync(path, doomed);
  } catch {
    return;
  }
  await empty(doomed);
}

async function empty(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await openUp(Buffer.from(path));
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Removes what went aside, also before an earlier agent ended. */
export async function emptyTrash(folder: AgentFolder): Promise<void> {
  const names = readdirSync(folder.trash);
  // Whole build folders: rm(1) needs a third of the time for them, and none of this process.
  for (let at = 0; at < names.length; at += MOST_REMOVED)
    await execute('/bin/rm', ['-rf', '--', ...names.slice(at, at + MOST_REMOVED)], {
      cwd: folder.trash,
    }).catch(() => undefined);
  for (const name of readdirSync(folder.trash)) await empty(join(folder.trash, name));
}

/** What agents before left besides: a measurement that was cut short, and links that are made anew. */
export async function sweepFolder(folder: AgentFolder): Promise<void> {
  for (const name of readdirSync(folder.path))
    if (name.startsWith('benchmark-')) await discard(folder, join(folder.path, name));
  for (const name of readdirSync(folder.shims)) await discard(folder, join(folder.shims, name));
}
