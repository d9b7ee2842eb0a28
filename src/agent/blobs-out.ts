/** Sends contents of a tree to the link, packed where that makes them arrive sooner. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import type { BlobPacker } from '../protocol/blob-packer.ts';
import { PIECE_BYTES } from '../protocol/pieces.ts';
import type { Hash } from '../tree/manifest.ts';
import type { AgentStream } from './stream.ts';

/** Bytes of the pieces of a part. */
const PART_PIECE = 128 * 1024;

export type Content = { readonly hash: Hash; readonly size: number; readonly path: Buffer };

/** How a content is sent: from `offset` to `end`, in pieces of at most `piece` bytes. */
type Way = { readonly offset: number; readonly end: number; readonly piece: number };

/** Sends one content; fails when it cannot be read or has another size than it had. Its hash the receiver checks. */
export function sendContent(
  content: Content,
  stream: AgentStream,
  packer: BlobPacker,
): Promise<Result<undefined>> {
  return sendWay(content, { offset: 0, end: content.size, piece: PIECE_BYTES }, { stream, packer });
}

/** Sends a part of one content, in pieces so small that others of the stream hardly wait. */
export function sendPart(
  content: Content,
  part: { readonly offset: number; readonly length: number },
  by: { readonly stream: AgentStream; readonly packer: BlobPacker },
): Promise<Result<undefined>> {
  const end = part.offset + part.length;
  if (end > content.size) return Promise.resolve(fail('a part beyond the end of its content'));
  return sendWay(content, { offset: part.offset, end, piece: PART_PIECE }, by);
}

async function sendWay(
  content: Content,
  way: Way,
  { stream, packer }: { readonly stream: AgentStream; readonly packer: BlobPacker },
): Promise<Result<undefined>> {
  const file = await open(content.path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(
    (thrown: unknown) => messageOf(thrown),
  );
  if (typeof file === 'string') return fail(file);
  const hash = Buffer.from(content.hash, 'hex');
  try {
    let { offset } = way;
    do {
      const piece = Buffer.allocUnsafe(Math.min(way.piece, way.end - offset));
      const { bytesRead } = await file.read(piece, 0, piece.length, offset);
      if (bytesRead !== piece.length) return fail('a file became shorter while it was sent');
      const packed = packer.pack(piece);
      const began = performance.now();
      const alive = await stream.sendAndDrain({
        type: 'blob',
        hash,
        size: BigInt(content.size),
        offset: BigInt(offset),
        codec: packed.codec,
        base: Buffer.alloc(0),
        data: packed.data,
      });
      if (!alive) return fail('the connection was lost');
      packer.waited(performance.now() - began);
      offset += bytesRead;
    } while (offset < way.end);
    return ok(undefined);
  } finally {
    await file.close();
  }
}
