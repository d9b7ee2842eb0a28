/** Sends contents of a tree to the link, packed where that makes them arrive sooner. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import type { BlobPacker } from '../protocol/blob-packer.ts';
import { PIECE_BYTES } from '../protocol/pieces.ts';
import type { Hash } from '../tree/manifest.ts';
import type { AgentStream } from './stream.ts';

export type Content = { readonly hash: Hash; readonly size: number; readonly path: Buffer };

/** Sends one content; fails when it cannot be read or has another size than it had. Its hash the receiver checks. */
export async function sendContent(
  content: Content,
  stream: AgentStream,
  packer: BlobPacker,
): Promise<Result<undefined>> {
  const file = await open(content.path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(
    (thrown: unknown) => messageOf(thrown),
  );
  if (typeof file === 'string') return fail(file);
  const hash = Buffer.from(content.hash, 'hex');
  try {
    let offset = 0;
    do {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, content.size - offset));
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
    } while (offset < content.size);
    return ok(undefined);
  } finally {
    await file.close();
  }
}
