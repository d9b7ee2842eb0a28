/** Sends contents of a tree to the link, packed where that makes them arrive sooner. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { BlobCodec } from '../protocol/agent.ts';
import { packPiece, PIECE_BYTES, type Piece } from '../protocol/pieces.ts';
import type { Hash } from '../tree/manifest.ts';
import type { AgentStream } from './stream.ts';

/** After packing was found slower than sending, bytes until it is tried again. */
const REST_BYTES = 32 * 1024 * 1024;
/** Weight of the newest measurement in the running means. */
const NEWEST = 0.2;

/** Chooses by what it measures: where the way is never full, packing is what costs time, and pieces go raw. */
export class Packer {
  readonly #level: number;
  #packing = 0;
  #waiting = 1;
  #rest = 0;

  /** `level`: zstd's; 0 never packs. */
  constructor(level: number) {
    this.#level = level;
  }

  pack(piece: Buffer): Piece {
    if (this.#level === 0 || this.#rest > 0) {
      this.#rest -= piece.length;
      return { codec: BlobCodec.raw, data: piece };
    }
    const began = performance.now();
    const packed = packPiece(piece, this.#level);
    this.#packing += NEWEST * (performance.now() - began - this.#packing);
    // One that does not shrink is most often the start of a file that does not.
    if (packed.codec === BlobCodec.raw) this.#rest = 4 * PIECE_BYTES;
    if (this.#packing > 2 * this.#waiting) this.#rest = REST_BYTES;
    return packed;
  }

  /** ms that sending a piece took. */
  sent(ms: number): void {
    this.#waiting += NEWEST * (ms - this.#waiting);
  }
}

export type Content = { readonly hash: Hash; readonly size: number; readonly path: Buffer };

/** Sends one content; fails when it cannot be read or has another size than it had. Its hash the receiver checks. */
export async function sendContent(
  content: Content,
  stream: AgentStream,
  packer: Packer,
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
      packer.sent(performance.now() - began);
      offset += bytesRead;
    } while (offset < content.size);
    return ok(undefined);
  } finally {
    await file.close();
  }
}
