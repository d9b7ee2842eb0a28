/** Reads a file's content for sending, and proves that it is the one that was promised. */
import * as fs from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { type Failure, messageOf, ok, type Result } from '../base/result.ts';
import { openOwn } from './hash-one.ts';
import { hashZeros, isZero, type Range, runAt } from './holes.ts';
import type { Hash } from './manifest.ts';

/** `changed`: the file no longer holds what was asked for; scan again. */
export type ContentFailure = Failure & { readonly kind: 'changed' | 'unreadable' };

export type ContentRequest = {
  /** Absolute. */
  readonly path: Buffer;
  readonly size: number;
  readonly hash: Hash;
  /** Bytes the receiver has already: they are hashed, not handed on. */
  readonly from?: number;
  /** Where it holds data, as far as that is known: holes are not read. */
  readonly data?: readonly Range[] | undefined;
};

/** Bytes of a piece, at most. */
export const PIECE = 1 << 20;

/** Bytes, or so many zeros. */
export type Part =
  | { readonly kind: 'bytes'; readonly data: Buffer }
  | { readonly kind: 'zeros'; readonly length: number };

type Sink = (offset: number, part: Part) => Promise<void> | void;

const changed = (reason: string): { ok: false; failure: ContentFailure } => ({
  ok: false,
  failure: { kind: 'changed', reason },
});

/** What of a file is read: from `start` to `size`, in pieces of at most `piece` bytes (1 MiB, and not more). */
type Stretched = {
  readonly start?: number;
  readonly size: number;
  readonly piece?: number;
  readonly data?: readonly Range[] | undefined;
};

/** A file's parts in order; zeros that follow each other come as one. False: `sink` wants no more. */
async function pass(
  handle: Source,
  of: Stretched,
  sink: (part: Part) => Promise<boolean>,
): Promise<Result<boolean, ContentFailure>> {
  let zeros = 0;
  const flush = async (): Promise<boolean> => {
    const length = zeros;
    zeros = 0;
    return length === 0 || (await sink({ kind: 'zeros', length }));
  };
  const { start = 0, piece = PIECE } = of;
  for (let at = start; at < of.size;) {
    const run = runAt(of.data, at, of.size);
    if (run.hole) {
      zeros += run.end - at;
      at = run.end;
      continue;
    }
    // A new buffer each time: the sink may keep it.
    const block = Buffer.allocUnsafe(Math.min(piece, run.end - at));
    const { bytesRead } = await handle.read(block, 0, block.length, at);
    if (bytesRead === 0) return changed('the file became shorter');
    const data = block.subarray(0, bytesRead);
    at += bytesRead;
    if (bytesRead === piece && isZero(data)) zeros += bytesRead;
    else if (!(await flush()) || !(await sink({ kind: 'bytes', data }))) return ok(false);
  }
  return ok(await flush());
}

/** What of `part`, which begins at `at`, comes after the first `from` bytes; undefined: nothing. */
function after(part: Part, at: number, from: number): Part | undefined {
  const known = Math.max(0, from - at);
  if (part.kind === 'bytes')
    return known < part.data.length
      ? { kind: 'bytes', data: part.data.subarray(known) }
      : undefined;
  return known < part.length ? { kind: 'zeros', length: part.length - known } : undefined;
}

/** What is read of an open file. */
type Source = {
  readonly read: (
    block: Buffer,
    offset: number,
    length: number,
    position: number,
  ) => Promise<{ readonly bytesRead: number }>;
  readonly close: () => Promise<void>;
};

function sourceOf(fd: number): Source {
  const close = promisify(fs.close);
  const read = promisify(fs.read);
  return {
    read: (block, offset, length, position) => read(fd, block, offset, length, position),
    close: () => close(fd),
  };
}

async function opened<T>(
  { path, own = false }: { readonly path: Buffer; readonly own?: boolean | undefined },
  use: (handle: Source) => Promise<Result<T, ContentFailure>>,
): Promise<Result<T, ContentFailure>> {
  let handle: Source;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    handle = await open(path, flags).catch((thrown: unknown) => {
      if (!own || (thrown as NodeJS.ErrnoException).code !== 'EACCES') throw thrown;
      return sourceOf(openOwn(fs, path));
    });
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) return changed('the file is gone');
    return { ok: false, failure: { kind: 'unreadable', reason: messageOf(thrown) } };
  }
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Hands a stretch of a file to `sink` in order, until it returns false; the value is whether it never did. `own`: it is ours,
 * and read though its mode forbids it (openOwn).
 */
export function readParts(
  of: Stretched & { readonly path: Buffer; readonly own?: boolean },
  sink: (part: Part) => Promise<boolean>,
): Promise<Result<boolean, ContentFailure>> {
  return opened(of, (handle) => pass(handle, of, sink));
}

/**
 * Hands a file's content to `sink` in order, as pieces of at most 1 MiB and runs of zeros, waiting for each, and
 * proves at the end that it was that of `hash`. Bytes beyond `size` (a file that grew meanwhile) are no concern.
 * What `sink` throws is passed on.
 */
export function readContent(
  request: ContentRequest,
  sink: Sink,
): Promise<Result<void, ContentFailure>> {
  return opened(request, async (handle) => {
    const hasher = new Blake3Hasher();
    const { from = 0 } = request;
    let at = 0;
    const { size, data } = request;
    const passed = await pass(handle, { size, data }, async (part) => {
      if (part.kind === 'bytes') hasher.update(part.data);
      else await hashZeros(hasher, part.length);
      const fresh = after(part, at, from);
      const start = Math.max(at, from);
      at += part.kind === 'bytes' ? part.data.length : part.length;
      if (fresh !== undefined) await sink(start, fresh);
      return true;
    });
    if (!passed.ok) return passed;
    const hash = hasher.digestBuffer().toString('hex');
    return hash === request.hash ? ok(undefined) : changed('the file holds something else');
  });
}
