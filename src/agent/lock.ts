/** One agent a socket: a lock file that names its holder, judged by whether that very process is alive. */
import { connect } from 'node:net';
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { startTimeOf } from '../base/processes.ts';
import { fail, ok, type Result } from '../base/result.ts';

/** How long a socket may take to answer a probe, ms. */
const PROBE_MS = 2000;

/** `PID STARTTIME`, as lock and owner files hold it. */
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
  readonly release: () => void;
};

/** Takes the lock at `path`, or says who holds it. */
export function takeLock(path: string): Result<Lock> {
  const own = processName(process.pid);
  const candidate = `${path}.${process.pid}`;
  writeFileSync(candidate, own, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 8; attempt++) {
      if (tryLink(candidate, path)) return ok(lockAt(path, own));
      const holder = textOf(path);
      if (holder === undefined) continue;
      const pid = aliveOf(holder);
      if (pid !== undefined) return fail(`process ${pid} is the agent here`);
      removeStale(path, holder);
    }
    return fail(`${path} cannot be taken`);
  } finally {
    unlinkSync(candidate);
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
