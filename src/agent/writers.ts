/** Which files other jobs have open for writing: what they make is theirs to return, and only when it is whole. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { processStat } from '../base/processes.ts';

/** `DEV INO`. */
export type FileId = string;

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** The processes below `roots` in the tree of processes, themselves included. */
export function descendants(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const name of namesIn('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = processStat(pid)?.ppid;
    if (parent === undefined) continue;
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [...roots];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** open(2)'s access mode in the octal `flags:` of proc_pid_fdinfo(5). */
function isWriting(pid: number, descriptor: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(textOf(`/proc/${pid}/fdinfo/${descriptor}`))?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
}

/** The regular files that processes below `roots` have open for writing. */
export function filesWrittenBelow(roots: readonly number[]): Set<FileId> {
  const written = new Set<FileId>();
  for (const pid of roots.length === 0 ? [] : descendants(roots)) {
    for (const descriptor of namesIn(`/proc/${pid}/fd`)) {
      if (!isWriting(pid, descriptor)) continue;
      try {
        const info = statSync(`/proc/${pid}/fd/${descriptor}`, { bigint: true });
        if (info.isFile()) written.add(`${info.dev} ${info.ino}`);
      } catch {
        // It was closed in between.
      }
    }
  }
  return written;
}
