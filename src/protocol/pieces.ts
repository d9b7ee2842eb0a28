/**
 * Pieces of content as a `blob` of agent.ts carries them: whatever the other side claims, a piece never
 * unpacks to more than MAX_PIECE bytes.
 */
import { compress } from 'zstd-napi';
import binding from 'zstd-napi/binding.js';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { BlobCodec } from './agent.ts';

/** Unpacked bytes of a piece as we send it. */
export const PIECE_BYTES = 1024 * 1024;
/** Unpacked bytes of a piece that are still accepted. */
export const MAX_PIECE = 4 * PIECE_BYTES;
/** A piece that does not shrink below this share goes as it is. */
const WORTH = 0.95;

export type Piece = { readonly codec: BlobCodec; readonly data: Buffer };

/** Packs a piece at zstd `level`, or leaves it raw when that would not pay. Level 0 never packs. */
export function packPiece(piece: Buffer, level: number): Piece {
  if (level === 0 || piece.length === 0) return { codec: BlobCodec.raw, data: piece };
  const packed = compress(piece, { compressionLevel: level });
  return packed.length < piece.length * WORTH
    ? { codec: BlobCodec.zstd, data: packed }
    : { codec: BlobCodec.raw, data: piece };
}

/** Unpacks the bytes of a raw or zstd piece. */
export function unpackPiece(piece: Piece): Result<Buffer> {
  if (piece.codec === BlobCodec.raw) {
    return piece.data.length <= MAX_PIECE ? ok(piece.data) : fail('a piece larger than allowed');
  }
  try {
    const size = binding.getFrameContentSize(piece.data);
    if (size === null || size > MAX_PIECE) return fail('a piece larger than allowed');
    const plain = Buffer.allocUnsafe(size);
    const bytes = binding.decompress(plain, piece.data);
    return bytes === size ? ok(plain) : fail('a piece of another size than it says');
  } catch (thrown) {
    return fail(`a piece that does not unpack: ${messageOf(thrown)}`);
  }
}

/** A piece that carries no bytes: so many zeros, or a copy of what the receiver has in its base from `from` on. */
export type Run = { readonly length: number; readonly from?: number };

export function packRun(run: Run): Piece {
  const data = Buffer.alloc(run.from === undefined ? 8 : 16);
  data.writeBigUInt64LE(BigInt(run.length));
  if (run.from === undefined) return { codec: BlobCodec.zeros, data };
  data.writeBigUInt64LE(BigInt(run.from), 8);
  return { codec: BlobCodec.copy, data };
}

/** What a `blob` brings, however it is packed. */
export type Brought = { readonly data: Buffer } | Run;

export function unpackBlob(codec: number, data: Buffer): Result<Brought> {
  if (codec === BlobCodec.raw || codec === BlobCodec.zstd) {
    const piece = unpackPiece({ codec, data });
    return piece.ok ? ok({ data: piece.value }) : piece;
  }
  const words = codec === BlobCodec.zeros ? 1 : codec === BlobCodec.copy ? 2 : 0;
  if (words === 0) return fail(`a content packed as ${codec}`);
  if (data.length !== 8 * words) return fail('a run that cannot be read');
  const [length, from] = [data.readBigUInt64LE(), words === 2 ? data.readBigUInt64LE(8) : 0n];
  if (length === 0n || length + from > BigInt(Number.MAX_SAFE_INTEGER))
    return fail('a run of no sense');
  return ok({ length: Number(length), ...(words === 2 ? { from: Number(from) } : {}) });
}

export function lengthOf(brought: Brought): number {
  return 'data' in brought ? brought.data.length : brought.length;
}
