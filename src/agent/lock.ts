/** One agent a folder: a lock file that names its holder, judged by whether that very process is alive. */
import { connect } from 'node:net';
import {
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTimeOf } from '../base/processes.ts';
import { fail, ok, type Failure, type Result } from '../base/result.ts';

/** How long a socket may take to answer a probe, ms. */
const PROBE_MS = 2000;

/** `PID STARTTIME`, as owner files hold it; lock files have the path of a socket after it. */
export function processName(pid: number): string {
  return `${pid} ${startTimeOf(pid)?.toString() ?? ''}\n`;
}

/** The pid in `text` (see processName) if that very process is alive. */
export function aliveOf(text: string): number | undefined {
  const [pid, started] = text.trim().split(' ');
  const number = Number(pid);
  if (!Number.isInteger(number) || number <= 0 || started === undefined) return undefined;
  return startTimeOf(number)?.toString() === started ? number : undefined;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether nothing is there; a file system that fails says nothing about that. */
export function isGone(path: string): boolean {
  try {
    lstatSync(path);
    return false;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    return false;
  }
}

export type Lock = {
  /** False once another took it over, which happens only to one that looked dead. */
  readonly held: () => boolean;
  /** True once it is certainly not held: what cannot be read now may come back. */
  readonly lost: () => boolean;
  readonly release: () => void;
};

/** The one that has the lock: its pid, and the socket it serves. */
export type Holder = { readonly pid: number; readonly socket: string };

/** Takes the lock at `path` for an agent that serves `socket`, or says who holds it. */
export function takeLock(path: string, socket: string): Result<Lock, Failure & Partial<Holder>> {
  const own = `${processName(process.pid)}${socket}\n`;
  const candidate = `${path}.${process.pid}`;
  writeFileSync(candidate, own, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 8; attempt++) {
      if (tryLink(candidate, path)) return ok(lockAt(path, own));
      const holder = textOf(path);
      if (holder === undefined) continue;
      const [name = '', serves = ''] = holder.split('\n');
      const pid = aliveOf(name);
      if (pid !== undefined) {
        const reason = `process ${pid} is the agent here`;
        return { ok: false, failure: { reason, pid, socket: serves } };
      }
      removeStale(path, holder);
    }
    return fail(`${path} cannot be taken`);
  } finally {
    unlinkSync(candidate);
  }
}

/** What asks an agent to leave its folder to another, which it does as soon as nobody needs it. */
export const LEAVE = 'SIGUSR2';
/** How long one that was asked may take, and between two looks, ms. */
const LEAVE_MS = 3000;
const LOOK_MS = 20;

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended.
  }
}

/** What led to an agent that has left must not lead to one of its kind that comes again. */
function removeLinks(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isSymbolicLink() && entry.name.endsWith('.sock'))
      rmSync(join(folder, entry.name), { force: true });
}

/**
 * Takes the lock as `takeLock` does. An agent of another version that is there is asked to leave; where it stays,
 * because jobs run or somebody is connected, `socket` leads to it from now on: what runs goes on, and slots and trees
 * have one master.
 */
export async function succeed(path: string, socket: string): Promise<Result<Lock>> {
  const till = performance.now() + LEAVE_MS;
  const asked = new Set<number>();
  for (;;) {
    const lock = takeLock(path, socket);
    if (lock.ok) {
      removeLinks(dirname(path));
      return lock;
    }
    const { pid, socket: other } = lock.failure;
    // The folder may be reached by more than one path, and its sockets lie beside the lock.
    if (pid === undefined || other === undefined || basename(other) === basename(socket))
      return lock;
    if (!asked.has(pid)) signal(pid, LEAVE);
    asked.add(pid);
    if (performance.now() > till) {
      rmSync(socket, { force: true });
      symlinkSync(basename(other), socket);
      return lock;
    }
    await sleep(LOOK_MS);
  }
}

/** Removes a lock whose holder is dead; puts it back if it was renewed in between. */
function removeStale(path: string, holder: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (textOf(aside) !== holder) tryLink(aside, path);
  unlinkSync(aside);
}

function lockAt(path: string, own: string): Lock {
  return {
    held: () => textOf(path) === own,
    lost: () => isGone(path) || (textOf(path) ?? own) !== own,
    release: () => {
      if (textOf(path) === own) unlinkSync(path);
    },
  };
}

/** Whether somebody listens on a Unix socket. */
export function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    const end = (alive: boolean) => (): void => {
      clearTimeout(timer);
      probe.destroy();
      resolve(alive);
    };
    // One that does not even refuse is alive but busy.
    const timer = setTimeout(end(true), PROBE_MS);
    probe.on('connect', end(true));
    probe.on('error', end(false));
  });
}
