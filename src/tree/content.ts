/** Reads a file's content for sending, and proves that it is the one that was promised. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { type Failure, messageOf, ok, type Result } from '../base/result.ts';
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
};

/** Bytes of a piece, at most. */
export const PIECE = 1 << 20;

type Sink = (offset: number, data: Buffer) => Promise<void> | void;

const changed = (reason: string): { ok: false; failure: ContentFailure } => ({
  ok: false,
  failure: { kind: 'changed', reason },
});

async function pass(
  handle: FileHandle,
  request: ContentRequest,
  sink: Sink,
): Promise<Result<void, ContentFailure>> {
  const from = request.from ?? 0;
  const hasher = new Blake3Hasher();
  for (let at = 0; at < request.size;) {
    // A new buffer each time: the sink may keep it.
    const block = Buffer.allocUnsafe(Math.min(PIECE, request.size - at));
    const { bytesRead } = await handle.read(block, 0, block.length, at);
    if (bytesRead === 0) return changed('the file became shorter');
    const data = block.subarray(0, bytesRead);
    hasher.update(data);
    const end = at + bytesRead;
    if (end > from) await sink(Math.max(at, from), data.subarray(Math.max(0, from - at)));
    at = end;
  }
  const hash = hasher.digestBuffer().toString('hex');
  return hash === request.hash ? ok(undefined) : changed('the file holds something else');
}

/**
 * Hands a file's content to `sink` in pieces of at most 1 MiB, waiting for each, and proves at the end that it was
 * that of `hash`. Bytes beyond `size` (a file that grew meanwhile) are no concern. What `sink` throws is passed on.
 */
export async function readContent(
  request: ContentRequest,
  sink: Sink,
): Promise<Result<void, ContentFailure>> {
  let handle: FileHandle;
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    handle = await open(request.path, flags);
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) return changed('the file is gone');
    return { ok: false, failure: { kind: 'unreadable', reason: messageOf(thrown) } };
  }
  try {
    return await pass(handle, request, sink);
  } finally {
    await handle.close();
  }
}
