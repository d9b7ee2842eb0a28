/** The `rch-fs` process as seen from Node: scans and changes of trees, answered in order. */
import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { fail, never, ok, type Result } from '../base/result.ts';
import { encode } from '../protocol/codec.ts';
import { FrameReader, MAX_FRAME } from '../protocol/frames.ts';
import { type FsMessage, fsMessages } from '../protocol/fs.ts';
import {
  type AnyOperation,
  operationBytes,
  type OperationResult,
  packOperations,
  readResults,
} from './apply.ts';
import type { Range } from './holes.ts';
import type { RawPath } from './manifest.ts';
import { readRecords, type ScanRecord } from './scan.ts';

/** What a scan found against the one before it of the same tree number. */
export type ScanDelta = {
  readonly records: readonly ScanRecord[];
  /** There was none before (or the helper was started anew): `records` are the whole tree. */
  readonly whole: boolean;
  /** CLOCK_REALTIME before the walk, ns. */
  readonly startedAt: bigint;
};

export type ScanOptions = {
  /** Tell the whole tree. */
  readonly fresh?: boolean;
  /** Paths that are neither listed nor entered. */
  readonly skip?: readonly RawPath[];
  /** When not empty, only these, what is below them, and their parents are listed. */
  readonly only?: readonly RawPath[];
  /** Nobody writes in it now: what the kernel told of it may be relied on. */
  readonly quiet?: boolean;
};

export type ApplyOptions = {
  /** On a conflict the new version is kept as `NAME.rch-SUFFIX`; without it, nowhere. */
  readonly suffix?: string;
};

type Pending = {
  readonly take: (message: FsMessage) => boolean;
  readonly end: (reason: string) => void;
};

/** Bytes of operations in one message. */
const BATCH = MAX_FRAME / 4;

/** Whether the process and its pipes keep Node's event loop alive. */
function holdOpen(child: ChildProcess, yes: boolean): void {
  for (const handle of [child, child.stdin, child.stdout]) {
    if (handle !== child && !(handle instanceof Socket)) continue;
    if (yes) handle.ref();
    else handle.unref();
  }
}

/** The u64 pairs of a `mapped`. */
function readRanges(packed: Buffer): Range[] {
  const ranges: Range[] = [];
  for (let at = 0; at + 16 <= packed.length; at += 16)
    ranges.push([Number(packed.readBigUInt64LE(at)), Number(packed.readBigUInt64LE(at + 8))]);
  return ranges;
}

/** The symbolic name of an errno, as Node names it: `ENOSPC`. */
export function errnoName(errno: number): string {
  const known = getSystemErrorMap().get(-errno)?.[0];
  // libuv does not know them all.
  const named = Object.entries(constants.errno).find(([, number]) => number === errno);
  return known ?? named?.[0] ?? `errno ${errno}`;
}

/** What an errno means, with its name: `no space left on device (ENOSPC)`. */
export function errnoText(errno: number): string {
  const known = getSystemErrorMap().get(-errno);
  return known === undefined ? errnoName(errno) : `${known[1]} (${known[0]})`;
}

/**
 * One helper process, started on first use and again after it died (whatever was pending then fails).
 * Requests are worked off one after the other: what must not wait for a long apply has a helper of its own.
 */
export class FsHelper {
  readonly #program: string;
  readonly #niceness: number;
  readonly #trash: readonly string[];
  readonly #pending = new Map<number, Pending>();
  #child: ChildProcess | undefined;
  #request = 0;
  #trees = 0;
  #closed = false;

  /**
   * `program`: the path of `rch-fs`; `niceness`: nice(2)'s, for work that is to stand back; `trash`: a folder for what
   * goes aside, on the file system of the trees.
   */
  constructor(
    program: string,
    options: { readonly niceness?: number; readonly trash?: string } = {},
  ) {
    this.#program = program;
    this.#niceness = options.niceness ?? 0;
    this.#trash = options.trash === undefined ? [] : [options.trash];
  }

  /** A tree number nobody else uses in this helper. */
  newTree(): number {
    this.#trees += 1;
    return this.#trees;
  }

  /** Walks `root` and tells what differs from the last scan of `tree`. */
  scan(tree: number, root: Buffer, options: ScanOptions = {}): Promise<Result<ScanDelta>> {
    const records: ScanRecord[] = [];
    return this.#call<ScanDelta>(
      (request) => ({
        type: 'scan',
        request,
        tree,
        root,
        fresh: options.fresh ?? false,
        skip: (options.skip ?? []).map((path) => Buffer.from(path, 'latin1')),
        only: (options.only ?? []).map((path) => Buffer.from(path, 'latin1')),
        quiet: options.quiet ?? false,
      }),
      (message) => {
        if (message.type !== 'scanned') return fail(`rch-fs answered a scan by ${message.type}`);
        const read = readRecords(message.records);
        if (!read.ok) return read;
        for (const record of read.value) records.push(record);
        if (!message.last) return undefined;
        return ok({ records, whole: message.whole, startedAt: message.startedAt });
      },
    );
  }

  /**
   * Does `operations` in order below `root`; stops at the first that fails (conflicts are not failures).
   * A failure of the whole is one of the root or of the helper itself.
   */
  async apply(
    root: Buffer,
    operations: readonly AnyOperation[],
    options: ApplyOptions = {},
  ): Promise<Result<OperationResult[]>> {
    const results: OperationResult[] = [];
    for (let from = 0; from < operations.length;) {
      let to = from;
      let bytes = 0;
      for (let next = operations[to]; next !== undefined; next = operations[to]) {
        bytes += operationBytes(next);
        if (to > from && bytes > BATCH) break;
        to += 1;
      }
      const batch = await this.#applyBatch(root, operations.slice(from, to), options);
      if (!batch.ok) return batch;
      for (const result of batch.value) results.push(result);
      from = to;
      if (batch.value.some((result) => result.outcome === 'failed')) break;
    }
    while (results.length < operations.length) results.push({ outcome: 'skipped' });
    return ok(results);
  }

  /** Where the file at the absolute `path` holds data; undefined: anywhere, as far as can be told. */
  async extents(path: Buffer): Promise<readonly Range[] | undefined> {
    const asked = await this.#call<readonly Range[] | undefined>(
      (request) => ({ type: 'extents', request, path }),
      (message) => {
        if (message.type !== 'mapped') return fail(`rch-fs told extents by ${message.type}`);
        return ok(message.known ? readRanges(message.ranges) : undefined);
      },
    );
    return asked.ok ? asked.value : undefined;
  }

  /** Frees what the helper remembers of a tree. */
  forget(tree: number): void {
    if (this.#child !== undefined) this.#send({ type: 'forget', tree });
  }

  /** What is pending fails; the process ends by itself when it has done what it is at. */
  close(): void {
    this.#closed = true;
    this.#child?.stdin?.end();
    if (this.#child !== undefined) holdOpen(this.#child, false);
    this.#lost('the helper was closed');
  }

  #applyBatch(
    root: Buffer,
    operations: readonly AnyOperation[],
    options: ApplyOptions,
  ): Promise<Result<OperationResult[]>> {
    return this.#call<OperationResult[]>(
      (request) => ({
        type: 'apply',
        request,
        root,
        suffix: Buffer.from(options.suffix ?? '', 'latin1'),
        operations: packOperations(operations),
      }),
      (message) => {
        if (message.type !== 'applied') return fail(`rch-fs answered an apply by ${message.type}`);
        const read = readResults(message.results);
        if (!read.ok || read.value.length === operations.length) return read;
        return fail(`rch-fs gave ${read.value.length} results for ${operations.length} operations`);
      },
    );
  }

  #call<T>(
    message: (request: number) => FsMessage,
    take: (answer: FsMessage) => Result<T> | undefined,
  ): Promise<Result<T>> {
    if (this.#closed) return Promise.resolve(fail('the helper was closed'));
    this.#request = (this.#request + 1) >>> 0;
    const request = this.#request;
    return new Promise((resolve) => {
      this.#pending.set(request, {
        take: (answer) => {
          const result =
            answer.type === 'failed'
              ? fail(`${answer.message}: ${errnoText(answer.error)}`)
              : take(answer);
          if (result !== undefined) resolve(result);
          return result !== undefined;
        },
        end: (reason) => {
          resolve(fail(reason));
        },
      });
      this.#send(message(request));
    });
  }

  #send(message: FsMessage): void {
    const child = this.#child ?? this.#start();
    holdOpen(child, true);
    child.stdin?.write(encode(fsMessages, message));
  }

  #start(): ChildProcess {
    const child = spawn(this.#program, this.#trash, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    if (this.#niceness !== 0 && child.pid !== undefined) setPriority(child.pid, this.#niceness);
    const reader = new FrameReader(fsMessages);
    child.stdout.on('data', (chunk: Buffer) => {
      const messages = reader.push(chunk);
      if (messages.ok) for (const message of messages.value) this.#take(message);
      else child.kill('SIGKILL');
    });
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      if (this.#child === child) this.#lost(`${this.#program} cannot be run: ${error.message}`);
    });
    child.on('close', (code, signal) => {
      if (this.#child === child) this.#lost(`rch-fs ended (${signal ?? `exit ${code ?? '?'}`})`);
    });
    return child;
  }

  #take(message: FsMessage): void {
    switch (message.type) {
      case 'scanned':
      case 'applied':
      case 'mapped':
      case 'failed': {
        const pending = this.#pending.get(message.request);
        if (pending?.take(message) === true) this.#pending.delete(message.request);
        if (this.#pending.size === 0 && this.#child !== undefined) holdOpen(this.#child, false);
        return;
      }
      case 'scan':
      case 'apply':
      case 'extents':
      case 'forget':
        return;
      default:
        never(message);
    }
  }

  #lost(reason: string): void {
    this.#child = undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const each of pending) each.end(reason);
  }
}
