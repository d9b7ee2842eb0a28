/** Processes of a test's folder: those that end by themselves, and those that it leaves behind by their nature. */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';

/** ms that processes which were told to end may take. */
const GRACE = 10_000;

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Processes that have to do with `folder`, by program, arguments or working folder, but for this one. */
function processesOf(folder: string): number[] {
  const below = (path: string): boolean => path.startsWith(`${folder}/`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      const proc = `/proc/${pid}`;
      if (below(linkOf(`${proc}/exe`)) || below(linkOf(`${proc}/cwd`))) return true;
      return textOf(`${proc}/cmdline`).includes(`${folder}/`);
    })
    .map(Number);
}

/** Waits until the processes of `folder` have ended; a line for each that has not after so many ms. */
export async function goneFrom(folder: string, grace = GRACE): Promise<string[]> {
  const till = performance.now() + grace;
  for (;;) {
    const left = processesOf(folder);
    if (left.length === 0) return [];
    if (performance.now() > till)
      return left.map((pid) => `${pid} ${textOf(`/proc/${pid}/cmdline`).slice(0, 300)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}

/** Kills every process of `folder` and waits for its end: agents, for one, outlive their connections. */
export async function endProcessesOf(folder: string): Promise<void> {
  for (const pid of processesOf(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
  await goneFrom(folder);
}

/** Removes a folder, also one in which a process that ends, or goes on, makes files meanwhile (ENOTEMPTY of rmdir(2)). */
export function clear(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
