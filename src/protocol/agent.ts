/** What a link and the agent on its worker say to each other, over one control stream and bulk streams beside it. */
import type { MessageOf } from './codec.ts';

/** Raised when a message changes its meaning. Both sides accept this number and the one before. */
export const AGENT_PROTOCOL = 1;

/** The first bytes of an agent's stream; whatever a login shell printed before them is skipped. */
export const AGENT_MAGIC = Buffer.from('\0rch-agent\x01\n', 'latin1');

/** How the content in a `blob` is packed. */
export const BlobCodec = {
  raw: 0,
  zstd: 1,
  /** Bytes that the receiver has in `base`: u64 how many, u64 from where. */
  copy: 2,
  /** u64 how many zeros: a hole, where the receiver can make one. */
  zeros: 3,
} as const;
export type BlobCodec = (typeof BlobCodec)[keyof typeof BlobCodec];

/** What becomes of a root's changes. */
export const RootPolicy = {
  /** A writable copy; what a job changes in it returns. */
  project: 0,
  /** Mounted read-only, shared between jobs. */
  readOnly: 1,
} as const;
export type RootPolicy = (typeof RootPolicy)[keyof typeof RootPolicy];

/**
 * - `json` fields are UTF-8 JSON, checked with zod by the receiver (src/protocol/facts.ts, jobs.ts).
 * - `root`: an opaque key of a root, chosen by the link, unique per workstation, user and path.
 * - `changes`/`manifest`: the packed form of src/tree/packed.ts; all hashes are 32 bytes BLAKE3, lists concatenated.
 * - `request`: chosen by the link, repeated in the answer.
 * - times are i64 ns since the epoch on the speaker's own clock, unless said otherwise.
 */
export const agentMessages = {
  // link → agent
  /** First on every stream. `bulk`: this stream carries blobs for the session named by `session`. */
  hello: {
    number: 1,
    fields: { protocol: 'u16', version: 'str', session: 'bytes', bulk: 'bool', json: 'bytes' },
  },
  ping: { number: 2, fields: { request: 'u32' } },
  /** Asks for the facts again: tools named in `json` are probed. */
  probe: { number: 3, fields: { request: 'u32', json: 'bytes' } },
  /**
   * Brings a root from epoch `from` to epoch `to`. `whole`: `changes` hold the whole manifest, and the
   * agent finds the difference to what it has. A long list comes in parts; `last` ends it.
   */
  sync: {
    number: 4,
    fields: {
      request: 'u32',
      root: 'str',
      path: 'bytes',
      policy: 'u8',
      from: 'u64',
      to: 'u64',
      whole: 'bool',
      changes: 'bytes',
      last: 'bool',
    },
  },
  /**
   * A piece of content, on any stream of the session. `size` is that of the whole, `offset` that of this piece,
   * unpacked. Pieces of one content come in order; each is a zstd frame of its own of at most 1 MiB unpacked, or a
   * run as in src/protocol/pieces.ts. An empty content is one empty piece, or none. `base` of a `copy` is a content
   * of which the receiver gave the chunks.
   */
  blob: {
    number: 5,
    fields: {
      hash: 'bytes',
      size: 'u64',
      offset: 'u64',
      codec: 'u8',
      base: 'bytes',
      data: 'bytes',
    },
  },
  /** Runs a command; `json` is a JobSpec. */
  run: {
    number: 6,
    fields: {
      job: 'bytes',
      json: 'bytes',
      argv: 'bytesList',
      env: 'bytesList',
      cwd: 'bytes',
      tool: 'bytes',
    },
  },
  /**
   * Asks for contents the agent offered in `result`; they come as `blob`, on the bulk streams where there are any, so
   * that `fetched` may overtake the last of them.
   */
  fetch: { number: 7, fields: { request: 'u32', job: 'bytes', hashes: 'bytes' } },
  /**
   * The return was committed here. The agent stamps what the run made by `newer = clamp(mtime − offset, floor, cap)`
   * (src/tree/stamps.ts), takes `to` as the root's epoch, and forgets the result.
   */
  settle: {
    number: 8,
    fields: {
      request: 'u32',
      job: 'bytes',
      root: 'str',
      to: 'u64',
      offset: 'i64',
      floor: 'i64',
      cap: 'i64',
    },
  },
  /**
   * The exit was delivered: nothing of the job need be kept. A root whose result was empty stays at its epoch without
   * `settle`; one whose result was not, and was not settled, is at no epoch from then on.
   */
  finish: { number: 9, fields: { job: 'bytes' } },
  /** Takes up a job after a reconnect, from what the launcher has written. */
  attach: {
    number: 10,
    fields: { job: 'bytes', stdoutAt: 'u64', stderrAt: 'u64', terminalAt: 'u64', stdinAt: 'u64' },
  },
  outAck: { number: 11, fields: { job: 'bytes', stream: 'u8', offset: 'u64' } },
  stdin: { number: 12, fields: { job: 'bytes', offset: 'u64', data: 'bytes' } },
  stdinEof: { number: 13, fields: { job: 'bytes', offset: 'u64' } },
  /** `want` and `count` as in src/protocol/shim.ts: what comes a second time is dropped. */
  ttyInput: { number: 14, fields: { job: 'bytes', want: 'u32', data: 'bytes' } },
  signal: { number: 15, fields: { job: 'bytes', signo: 'u32', count: 'u32' } },
  resize: {
    number: 16,
    fields: { job: 'bytes', rows: 'u16', cols: 'u16', xpixel: 'u16', ypixel: 'u16' },
  },
  outClosed: { number: 17, fields: { job: 'bytes', stream: 'u8' } },
  /** The launcher is gone: end every process of the job; its changes are dropped by the next sync. */
  kill: { number: 18, fields: { job: 'bytes' } },
  /** Shrinks what is held to `bytes` (0: the configured bound). */
  collect: { number: 19, fields: { request: 'u32', bytes: 'u64' } },
  /** A content that the sync `request` asked for cannot come: it is to be refused, with nothing done. */
  withdraw: { number: 20, fields: { request: 'u32' } },
  /** Asks how fast the machine is; takes some seconds. */
  benchmark: { number: 21, fields: { request: 'u32' } },
  /**
   * Asks for `length` bytes from `offset` of one content that was offered in `ready` or `result`, as `fetch` does.
   * With `base`, the link has a file of these `chunks` (src/tree/chunks.ts), cut by `bits`: what is in it need not come.
   */
  fetchPart: {
    number: 22,
    fields: {
      request: 'u32',
      job: 'bytes',
      hash: 'bytes',
      offset: 'u64',
      length: 'u64',
      base: 'bytes',
      bits: 'u8',
      chunks: 'bytes',
    },
  },
  /** Asks how the paths of a result stood before the run, for a link that does not know: answered by `baseline`. */
  before: { number: 23, fields: { request: 'u32', job: 'bytes', root: 'str' } },
  /** The results of an ended job cannot be returned now: keep them, and let go of all else. */
  keep: { number: 24, fields: { request: 'u32', job: 'bytes' } },
  /** Asks for kept results: they come as `result`, one list a root, then `kept`; contents by `fetch`, until `finish`. */
  reclaim: { number: 25, fields: { request: 'u32', job: 'bytes' } },
  /** Asks for the chunks of what stands where the sync `sync` is to put the content `hash`. */
  outline: { number: 26, fields: { request: 'u32', sync: 'u32', hash: 'bytes' } },
  /**
   * Asks whether the tree of a root still is what was agreed at epoch `from`, before anything is done with it: answered
   * by `synced` or `syncMismatch`. What somebody else did to it on the worker must not pass for the work of a job.
   */
  look: { number: 27, fields: { request: 'u32', root: 'str', from: 'u64' } },

  // agent → link
  /** `json` is AgentFacts. `now` is the agent's clock. */
  welcome: { number: 64, fields: { protocol: 'u16', version: 'str', now: 'i64', json: 'bytes' } },
  pong: { number: 65, fields: { request: 'u32', now: 'i64' } },
  facts: { number: 66, fields: { request: 'u32', json: 'bytes' } },
  /** The root is not at `from` but at `at` (0: unknown): send the whole manifest. */
  syncMismatch: { number: 67, fields: { request: 'u32', at: 'u64' } },
  /** These contents are missing; `partial` gives the bytes already held of each, in the same order. */
  syncNeed: { number: 68, fields: { request: 'u32', hashes: 'bytes', partial: 'bytes' } },
  synced: { number: 69, fields: { request: 'u32', epoch: 'u64' } },
  /** The request failed; nothing was half done. `kind` is one of the words of jobs.ts. */
  refused: { number: 70, fields: { request: 'u32', kind: 'str', reason: 'str' } },
  /** The job did not start; `kind` as above. */
  notStarted: { number: 71, fields: { job: 'bytes', kind: 'str', reason: 'str' } },
  started: { number: 72, fields: { job: 'bytes', at: 'i64' } },
  out: { number: 73, fields: { job: 'bytes', stream: 'u8', offset: 'u64', data: 'bytes' } },
  stdinUsed: { number: 74, fields: { job: 'bytes', offset: 'u64' } },
  ttyWant: { number: 75, fields: { job: 'bytes', want: 'u32' } },
  ttyModes: { number: 76, fields: { job: 'bytes', termios: 'bytes' } },
  stopped: { number: 77, fields: { job: 'bytes', signo: 'u32' } },
  /**
   * The tool ended; then a `result` for each project root (also an empty one), then `ended`. `from`/`till`: the window of the run on
   * the agent's clock. `changes` are against the manifest of the job's sync; `last` ends a long list.
   */
  result: {
    number: 78,
    fields: {
      job: 'bytes',
      root: 'str',
      from: 'i64',
      till: 'i64',
      changes: 'bytes',
      last: 'bool',
    },
  },
  ended: { number: 79, fields: { job: 'bytes', kind: 'u8', value: 'u32', json: 'bytes' } },
  /** The tool became a program that is to be run at home: comes after the results and before `ended`. */
  execHere: {
    number: 80,
    fields: {
      job: 'bytes',
      path: 'bytes',
      cwd: 'bytes',
      argv: 'bytesList',
      setEnv: 'bytesList',
      unsetEnv: 'bytesList',
    },
  },
  fetched: { number: 81, fields: { request: 'u32' } },
  settled: { number: 82, fields: { request: 'u32', epoch: 'u64' } },
  /** `attach` of a job that had started and is over. One that never came this far is answered by `notStarted`, never-seen. */
  unknownJob: { number: 83, fields: { job: 'bytes' } },
  /** Bytes: freed of each kind, and held of all that is left. */
  collected: {
    number: 84,
    fields: { request: 'u32', contents: 'u64', trees: 'u64', results: 'u64', held: 'u64' },
  },
  /** `json` is BenchmarkFacts. */
  benchmarked: { number: 86, fields: { request: 'u32', json: 'bytes' } },
  /** Files of a running job that seem to be finished, and may be fetched early; `sizes` are u64, in the same order. */
  ready: { number: 87, fields: { job: 'bytes', hashes: 'bytes', sizes: 'bytes' } },
  /** Slots and free disk, sent when they change; `ownSlots`: those of `usedSlots` held by jobs of who is told. */
  state: {
    number: 85,
    fields: { totalSlots: 'u32', usedSlots: 'u32', ownSlots: 'u32', freeBytes: 'u64' },
  },
  /** How the machine is beside our jobs, sent when it changes; `json` is of facts.ts. */
  vitals: { number: 91, fields: { json: 'bytes' } },
  /** The entries of the agreed manifest at the paths of a result, packed like it; a path that was not there is `gone`. */
  baseline: { number: 88, fields: { request: 'u32', changes: 'bytes', last: 'bool' } },
  /** The results are kept; `bytes` of contents. */
  kept: { number: 89, fields: { request: 'u32', bytes: 'u64' } },
  /** The chunks (src/tree/chunks.ts) of the content `base`, which may be copied from until the sync ends; empty: there is none. */
  outlined: { number: 90, fields: { request: 'u32', base: 'bytes', bits: 'u8', chunks: 'bytes' } },
} as const;

export type AgentMessage = MessageOf<typeof agentMessages>;
