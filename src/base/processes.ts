/** Processes of this machine as /proc shows them (proc_pid_stat(5)). */
import { readFileSync } from 'node:fs';

export type ProcessStat = {
  readonly ppid: number;
  /** Clock ticks since boot; with the pid it names a process for good. */
  readonly startTime: bigint;
  /** Ended, and not yet waited for. */
  readonly zombie: boolean;
  /** The name of its program, cut at 15 bytes. */
  readonly name: string;
  /** The process that leads its session. */
  readonly session: number;
  /** Whether it has a controlling terminal. */
  readonly terminal: boolean;
};

/** Parses /proc/PID/stat; the second field, the name in parentheses, may itself hold spaces and parentheses. */
export function parseStat(text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // Fields are numbered from 1 in the manual; the first one here is field 3.
  const [state, ppid, , session, terminal] = fields;
  const start = fields[19];
  if (state === undefined || ppid === undefined || start === undefined) return undefined;
  if (!/^\d+$/.test(start)) return undefined;
  return {
    ppid: Number(ppid),
    startTime: BigInt(start),
    zombie: state === 'Z' || state === 'X',
    name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
    session: Number(session),
    terminal: Number(terminal) !== 0,
  };
}

/** What /proc says of a process now, or undefined when there is none. */
export function processStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** The start time of a live process, or undefined when it has ended. */
export function startTimeOf(pid: number): bigint | undefined {
  const stat = processStat(pid);
  return stat === undefined || stat.zombie ? undefined : stat.startTime;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * The name of the program that watches what a process does in this kernel, so that it would see nothing of what runs
 * elsewhere: a tracer (TracerPid of proc_pid_status(5): strace, gdb, rr), or perf as its parent.
 */
export function watcherOf(pid: number, ppid: number): string | undefined {
  const tracer = /^TracerPid:\t(\d+)$/m.exec(readOr(`/proc/${pid}/status`))?.[1] ?? '0';
  if (tracer !== '0') return readOr(`/proc/${tracer}/comm`).trim() || `process ${tracer}`;
  const parent = readOr(`/proc/${ppid}/comm`).trim();
  return parent === 'perf' ? parent : undefined;
}

/** O_CLOEXEC as /proc writes flags, in octal (proc_pid_fdinfo(5)). */
const CLOSED_ON_EXEC = 0o2000000;

/** Whether what the process runs would find that descriptor open. */
export function inheritable(pid: number, descriptor: string): boolean {
  if (!/^\d+$/.test(descriptor)) return false;
  const flags = /^flags:\s*(\d+)$/m.exec(readOr(`/proc/${pid}/fdinfo/${descriptor}`))?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & CLOSED_ON_EXEC) === 0;
}
