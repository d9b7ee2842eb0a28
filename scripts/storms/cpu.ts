/** CPU time of processes here, from /proc (proc_pid_stat(5)). */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second: the kernel's USER_HZ, the same on every architecture that matters. */
const TICKS = 100;

type Times = { readonly ppid: number; readonly own: number; readonly children: number };

function timesOf(pid: number): Times | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (number: number): number => fields[number - 3] ?? 0;
    return { ppid: at(4), own: (at(14) + at(15)) / TICKS, children: (at(16) + at(17)) / TICKS };
  } catch {
    return undefined;
  }
}

/** What a process of the daemon is for, by its command line. */
function partOf(pid: number): string {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    if (line.includes('link.mjs')) return 'links';
    return line.includes('rchd.mjs') ? 'front' : 'helpers';
  } catch {
    return 'helpers';
  }
}

/** Seconds of the daemon and all below it by part, those that ended and were waited for included. */
export function treeSeconds(root: number): Record<string, number> {
  const all = readdirSync('/proc').flatMap((name) => {
    const times = /^\d+$/.test(name) ? timesOf(Number(name)) : undefined;
    return times === undefined ? [] : [{ pid: Number(name), ...times }];
  });
  const tree = new Set([root]);
  let before: number;
  do {
    before = tree.size;
    for (const { pid, ppid } of all) if (tree.has(ppid)) tree.add(pid);
  } while (tree.size > before);
  const seconds: Record<string, number> = { front: 0, links: 0, helpers: 0 };
  for (const { pid, own, children } of all) {
    if (!tree.has(pid)) continue;
    const part = partOf(pid);
    seconds[part] = (seconds[part] ?? 0) + own + children;
  }
  return seconds;
}

/** Seconds of the children of a process that ended and were waited for. */
export function childSeconds(pid: number): number {
  return timesOf(pid)?.children ?? 0;
}
