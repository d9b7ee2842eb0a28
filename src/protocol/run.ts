/** What the agent and `rch-run` say to each other on descriptor 3 of `rch-run`, one process a job. */
import type { MessageOf } from './codec.ts';

/** Flags of one mount in a `spec`. */
export const MountFlag = {
  readOnly: 1,
  /** The source is a file, and so is the target. */
  file: 2,
  /** A fresh tmpfs; the source is empty. */
  tmpfs: 4,
} as const;

/** How the job sees its roots. */
export const SandboxMethod = {
  /** User (unless root), mount and PID namespaces made by `rch-run` itself. */
  namespaces: 0,
  /** The tool runs as an ordinary process; roots already stand at their paths. Also used inside bubblewrap. */
  none: 1,
} as const;

/**
 * - `mountSources/Targets/Flags` run in parallel, in the order to mount. A target's missing parents are
 *   made; what else the worker has in an existing parent stays visible, except below `hide`.
 * - `hide`: folders (the worker's homes, the caller's home) of which only mount targets are visible; one that
 *   the worker lacks is there and empty. They, and all of the worker's, are read-only; /tmp, /var/tmp and
 *   /dev/shm are the job's own, unless they are mount targets.
 * - `filePaths/fileContents`: files that stand in place of the worker's (/etc/passwd), or of a symlink there.
 * - `host`: the host name the job sees; empty for the worker's.
 * - stream kinds are StreamKind of shim.ts: tty → the slave of the one pty, file/socket/other → pipe;
 *   `joined`: 1 and 2 are one pipe.
 * - `affinity`: CPU numbers the job may use, empty for all. `window`: bytes of output in flight before `credit`.
 * - `catchExec`: path prefixes; when the tool's first process execs a program below one, it is not run but
 *   reported by `execHere`.
 */
export const runMessages = {
  // agent → rch-run
  spec: {
    number: 1,
    fields: {
      method: 'u8',
      mountSources: 'bytesList',
      mountTargets: 'bytesList',
      mountFlags: 'u32List',
      hide: 'bytesList',
      filePaths: 'bytesList',
      fileContents: 'bytesList',
      host: 'bytes',
      uid: 'u32',
      gid: 'u32',
      network: 'bool',
      tool: 'bytes',
      argv: 'bytesList',
      env: 'bytesList',
      cwd: 'bytes',
      umask: 'u32',
      inKind: 'u8',
      outKind: 'u8',
      errKind: 'u8',
      joined: 'bool',
      rows: 'u16',
      cols: 'u16',
      xpixel: 'u16',
      ypixel: 'u16',
      termios: 'bytes',
      rlimits: 'bytes',
      signals: 'bytes',
      affinity: 'u32List',
      window: 'u32',
      catchExec: 'bytesList',
    },
  },
  /** `bytes` more output of `stream` may be sent. */
  credit: { number: 2, fields: { stream: 'u8', bytes: 'u32' } },
  stdin: { number: 3, fields: { offset: 'u64', data: 'bytes' } },
  stdinEof: { number: 4, fields: { offset: 'u64' } },
  ttyInput: { number: 5, fields: { data: 'bytes' } },
  signal: { number: 6, fields: { signo: 'u32' } },
  resize: { number: 7, fields: { rows: 'u16', cols: 'u16', xpixel: 'u16', ypixel: 'u16' } },
  /** Nobody reads `stream` any more: the tool gets SIGPIPE. Of a terminal: ignored. */
  outClosed: { number: 8, fields: { stream: 'u8' } },
  /** End every process of the job at once. */
  kill: { number: 9, fields: {} },

  // rch-run → agent
  /** The tool was started (its execve succeeded). `at` is CLOCK_REALTIME in ns, before the exec. */
  started: { number: 32, fields: { at: 'i64' } },
  /** The tool was not started; `stage` names the step, `error` is errno or 0. */
  failed: { number: 33, fields: { stage: 'str', error: 'u32', message: 'str' } },
  out: { number: 34, fields: { stream: 'u8', data: 'bytes' } },
  stdinUsed: { number: 35, fields: { offset: 'u64' } },
  /** The tool reads its terminal; repeated when a `signal` may have undone the reading of it. */
  ttyWant: { number: 36, fields: {} },
  ttyModes: { number: 37, fields: { termios: 'bytes' } },
  stopped: { number: 38, fields: { signo: 'u32' } },
  /**
   * The tool ended, every process of the job is gone, every byte was sent. Times in µs, memory in KiB.
   * Nothing follows this, `failed` or `execHere`: descriptor 3 is shut down, and `rch-run` ends once it is closed.
   */
  exit: {
    number: 39,
    fields: {
      kind: 'u8',
      value: 'u32',
      at: 'i64',
      userTime: 'u64',
      systemTime: 'u64',
      maxRss: 'u64',
    },
  },
  execHere: {
    number: 40,
    fields: { path: 'bytes', cwd: 'bytes', argv: 'bytesList', env: 'bytesList' },
  },
} as const;

export type RunMessage = MessageOf<typeof runMessages>;
export type RunSpec = Extract<RunMessage, { type: 'spec' }>;
