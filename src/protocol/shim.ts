/** What the launcher and the daemon say to each other: with the front until the answer, with a link after it. */
import type { MessageOf } from './codec.ts';

/** Raised when a message changes its meaning; the front answers `local` to any other number. */
export const SHIM_PROTOCOL = 4;

/** What the launcher ends with when it is told that a command is lost (shims/launcher/base.h). */
export const EXIT_LOST = 102;

/** What a descriptor of the caller is, as the launcher found it by fstat(2) and isatty(3). */
export const StreamKind = {
  closed: 0,
  tty: 1,
  pipe: 2,
  file: 3,
  devNull: 4,
  socket: 5,
  other: 6,
} as const;
export type StreamKind = (typeof StreamKind)[keyof typeof StreamKind];

/** Where output bytes belong: the caller's descriptor 1, its descriptor 2, or the terminal they came from. */
export const OutStream = { stdout: 1, stderr: 2, terminal: 3 } as const;
export type OutStream = (typeof OutStream)[keyof typeof OutStream];

/** How a tool ended: `exited` with a code, or `signaled` by a signal number. */
export const EndKind = { exited: 0, signaled: 1 } as const;
export type EndKind = (typeof EndKind)[keyof typeof EndKind];

/** Bits of `shared`: descriptors that are one open file description (`2>&1`), not two of one file. */
export const Shared = { inOut: 1, inErr: 2, outErr: 4 } as const;

/**
 * - `tool`: the name the shim was called by; `real`: the absolute path of the tool it stands for.
 * - `startTime`: field 22 of /proc/self/stat, clock ticks since boot.
 * - `*Flags`: the descriptor's open(2) flags by F_GETFL; `*Dev`/`*Ino` by fstat(2), for a terminal 0 and the number of
 *   its device, by whichever name it was opened; 0 when closed.
 * - `shared`: which regular files among 0, 1, 2 are one open file description, bits of Shared.
 * - `view`: which processes and files the caller sees, as src/base/view.ts writes it.
 * - `rows` to `ypixel`: struct winsize of the first terminal among 0, 1, 2; 0 when there is none.
 * - `termios` (everywhere): c_iflag, c_oflag, c_cflag, c_lflag as u32, then 19 bytes of c_cc; empty without a terminal.
 * - `rlimits`: soft then hard as u64 for each RLIMIT_ number from 0; RLIM_INFINITY as all ones.
 * - `signals`: those that are ignored, then those that are blocked, as u64 with bit n - 1 for signal n (sigset_t).
 * - `job`: 16 random bytes, everywhere.
 */
export const shimMessages = {
  // launcher → front
  ask: {
    number: 1,
    fields: {
      protocol: 'u16',
      version: 'str',
      pid: 'u32',
      ppid: 'u32',
      startTime: 'u64',
      tool: 'bytes',
      real: 'bytes',
      shimDir: 'bytes',
      cwd: 'bytes',
      view: 'str',
      umask: 'u32',
      inKind: 'u8',
      inFlags: 'u32',
      inDev: 'u64',
      inIno: 'u64',
      outKind: 'u8',
      outFlags: 'u32',
      outDev: 'u64',
      outIno: 'u64',
      errKind: 'u8',
      errFlags: 'u32',
      errDev: 'u64',
      errIno: 'u64',
      shared: 'u8',
      rows: 'u16',
      cols: 'u16',
      xpixel: 'u16',
      ypixel: 'u16',
      termios: 'bytes',
      rlimits: 'bytes',
      signals: 'bytes',
      argv: 'bytesList',
      env: 'bytesList',
    },
  },
  /** Asks where a job that had started is now, after its link went away. */
  where: { number: 2, fields: { protocol: 'u16', job: 'bytes' } },
  /** How the command of `first` ended. */
  firstDone: { number: 3, fields: { kind: 'u8', value: 'u32' } },
  /**
   * From rch-hook, before an agent runs a shell command: is the shell line `line` one that should find the shims on
   * PATH? `cwd` is where it will run, empty when the agent did not say. Both are UTF-8.
   */
  hookQuestion: { number: 4, fields: { protocol: 'u16', line: 'bytes', cwd: 'bytes' } },
  /** In place of `ask`, of a call by which the tool is only asked (src/base/asking.ts): it runs here, unanswered. */
  tell: { number: 5, fields: { tool: 'bytes', cwd: 'bytes', argv: 'bytesList' } },

  // front → launcher
  /** The question arrived; due within 250 ms of it. */
  ack: { number: 16, fields: {} },
  /**
   * A heartbeat, at least every 2 s: from the front until its answer, from a link until the end. `text` is shown on a
   * terminal in one dim line, and rubbed out later; empty when there is nothing new to say.
   */
  wait: { number: 17, fields: { text: 'str' } },
  /** Run the real tool here, after printing `notice` (when not empty: the caller asked for it). `lease` is for the launcher's environment marker, 0 when none was taken. */
  local: { number: 18, fields: { reason: 'str', notice: 'str', lease: 'u64' } },
  /**
   * Go to the link that listens on `socket` and commit there. `locks` are files to hold by flock(2),
   * LOCK_EX, while the job lasts; one that is busy means: run here. Missing ones are created when their
   * grandparent folder exists, else skipped.
   */
  remote: {
    number: 19,
    fields: { job: 'bytes', worker: 'str', socket: 'bytes', locks: 'bytesList' },
  },

  /**
   * Before the answer, run this here as a child on the caller's own descriptors (cargo fetch, so that the worker
   * needs no internet), then say `firstDone` and wait on. When it fails, its end is the launcher's end; with
   * `mayFail` only when a signal ended it.
   */
  first: { number: 20, fields: { path: 'bytes', argv: 'bytesList', mayFail: 'bool' } },
  /** To `hookQuestion`, within a few ms. */
  hookAnswer: { number: 21, fields: { wrap: 'bool' } },
  /** Before `local`, also from a link: heavy commands here keep to these CPUs (local.max_cores). */
  bind: { number: 22, fields: { cpus: 'u32List' } },

  // launcher → link
  /** From here on the link may act; until `started` it may still answer `local`, and `starting` comes before `started`. */
  commit: { number: 32, fields: { job: 'bytes' } },
  /** Takes a started job up again on a fresh connection; offsets are what the launcher has written so far. */
  resume: {
    number: 33,
    fields: { job: 'bytes', stdoutAt: 'u64', stderrAt: 'u64', terminalAt: 'u64', stdinAt: 'u64' },
  },
  /** All bytes of `stream` before `offset` were written to the caller's descriptor. */
  outAck: { number: 34, fields: { stream: 'u8', offset: 'u64' } },
  /** Bytes of standard input from `offset` on, peeked, not yet consumed here. */
  stdin: { number: 35, fields: { offset: 'u64', data: 'bytes' } },
  stdinEof: { number: 36, fields: { offset: 'u64' } },
  /** What the terminal gave after the `ttyWant` of the same number: a line, or its end (empty). Repeated on a fresh connection. */
  ttyInput: { number: 37, fields: { want: 'u32', data: 'bytes' } },
  /** `count` goes up from 1: the last ones are repeated on a fresh connection, and obeyed once. */
  signal: { number: 38, fields: { signo: 'u32', count: 'u32' } },
  resize: { number: 39, fields: { rows: 'u16', cols: 'u16', xpixel: 'u16', ypixel: 'u16' } },
  /** The caller's descriptor of `stream` is gone (EPIPE): the tool must see SIGPIPE on its next write. */
  outClosed: { number: 40, fields: { stream: 'u8' } },
  /** Asks on a fresh connection what became of a job that was `starting`: `local`, `started` or `lost` is the answer. */
  rejoin: { number: 41, fields: { job: 'bytes' } },
  /** The files of `lock` are held. */
  locked: { number: 42, fields: {} },
  /** `starting` was heard: from here on the launcher does nothing by itself, and the worker may be told. */
  bound: { number: 43, fields: {} },

  // link → launcher
  /**
   * Text for standard error as it stands, with its own colours and line ends; one that begins with "\r" draws a line
   * over and over. Shown on a terminal only, unless `always`: the caller asked for it (RCH_VERBOSE, notice = always).
   */
  notice: { number: 48, fields: { text: 'str', always: 'bool' } },
  /** The tool runs there: from here on the launcher never runs it here. */
  started: { number: 49, fields: {} },
  out: { number: 50, fields: { stream: 'u8', offset: 'u64', data: 'bytes' } },
  /** The tool consumed standard input up to `offset`: consume the same here. */
  stdinUsed: { number: 51, fields: { offset: 'u64' } },
  /** The tool reads its terminal: read one line here, in the foreground, and send `ttyInput`. `want` goes up from 1. */
  ttyWant: { number: 52, fields: { want: 'u32' } },
  /** The tool changed the modes of its terminal: set the same here, restore at the end. */
  ttyModes: { number: 53, fields: { termios: 'bytes' } },
  /** The tool's group stopped by `signo`: stop ourselves alike, and send SIGCONT when continued. */
  stopped: { number: 54, fields: { signo: 'u32' } },
  /**
   * The end: everything was written and returned. The launcher closes the connection once it has taken it. From the
   * front: the command was cancelled while it waited, and ends as if it had been interrupted.
   */
  exit: { number: 55, fields: { kind: 'u8', value: 'u32' } },
  /** Instead of `exit`: become this program here (cargo run). Environment changes are relative to the caller's. */
  execHere: {
    number: 56,
    fields: {
      path: 'bytes',
      cwd: 'bytes',
      argv: 'bytesList',
      setEnv: 'bytesList',
      unsetEnv: 'bytesList',
    },
  },
  /** The remote run was lost after its start: print `text`, end with exit code 102. */
  lost: { number: 57, fields: { text: 'str' } },
  /**
   * The worker will be told to run once the launcher says `bound`: from here on a link that goes away does not mean that
   * nothing runs there, and the launcher looks for its job again for `resumeSec` seconds. (A link of before that field says
   * nothing of it.)
   */
  starting: { number: 58, fields: { resumeSec: 'u32' } },
  /**
   * Before `starting`: hold these files too, as those of `remote`, and say `locked`. One that is busy means: run here.
   * For a command that waited in vain for another's run, under that one's locks.
   */
  lock: { number: 59, fields: { locks: 'bytesList' } },
  /**
   * Nothing was started there, and another worker may do better: the launcher asks the front anew, which knows by pid
   * and start time whom it has tried. Never after `started`.
   */
  again: { number: 60, fields: {} },
} as const;

export type ShimMessage = MessageOf<typeof shimMessages>;
export type Ask = Extract<ShimMessage, { type: 'ask' }>;
/** What a journal line is made from. */
export type Told = Pick<Ask, 'tool' | 'cwd' | 'argv'>;
export type HookQuestion = Extract<ShimMessage, { type: 'hookQuestion' }>;
