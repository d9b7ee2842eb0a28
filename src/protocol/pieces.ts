/**
 * Pieces of content as a `blob` of agent.ts carries them: whatever the other side claims, a piece never
 * unpacks to more than MAX_PIECE bytes.
 */
import { compress, Compressor } from 'zstd-napi';
import binding from 'zstd-napi/binding.js';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { BlobCodec } from './agent.ts';

/** Unpacked bytes of a piece as we send it. */
export const PIECE_BYTES = 1024 * 1024;
/** Unpacked bytes of a piece that are still accepted. */
export const MAX_PIECE = 4 * PIECE_BYTES;
/** How far before and after its own offset a piece of a delta looks into the base: bounds memory on both sides. */
const DELTA_REACH = PIECE_BYTES;
/** A piece that does not shrink below this share goes as it is. */
const WORTH = 0.95;

export type Piece = { readonly codec: BlobCodec; readonly data: Buffer };

/** The part of the base (its bytes from `start` to `end`) that is the dictionary of the piece at `offset`. */
export function deltaWindow(offset: number): { readonly start: number; readonly end: number } {
  return { start: Math.max(0, offset - DELTA_REACH), end: offset + PIECE_BYTES + DELTA_REACH };
}

/** Packs a piece at zstd `level`, or leaves it raw when that would not pay. Level 0 never packs. */
export function packPiece(piece: Buffer, level: number): Piece {
  if (level === 0 || piece.length === 0) return { codec: BlobCodec.raw, data: piece };
  const packed = compress(piece, { compressionLevel: level });
  return packed.length < piece.length * WORTH
    ? { codec: BlobCodec.zstd, data: packed }
    : { codec: BlobCodec.raw, data: piece };
}

/** Packs a piece against `window`, the bytes of the base that deltaWindow names. Takes some 25 ms. */
export function packDelta(piece: Buffer, window: Buffer): Piece {
  const compressor = new Compressor();
  // By default zstd sizes its tables by the piece and finds next to nothing in a dictionary larger than that.
  compressor.setParameters({ compressionLevel: 1, windowLog: 23, hashLog: 20 });
  compressor.loadDictionary(window);
  return { codec: BlobCodec.delta, data: compressor.compress(piece) };
}

/** Unpacks a piece; `window` is the dictionary of a delta. */
export function unpackPiece(piece: Piece, window?: Buffer): Result<Buffer> {
  if (piece.codec === BlobCodec.raw) {
    return piece.data.length <= MAX_PIECE ? ok(piece.data) : fail('a piece larger than allowed');
  }
  try {
    const size = binding.getFrameContentSize(piece.data);
    if (size === null || size > MAX_PIECE) return fail('a piece larger than allowed');
    const plain = Buffer.allocUnsafe(size);
    const bytes =
      piece.codec === BlobCodec.delta
        ? new binding.DCtx().decompressUsingDict(plain, piece.data, window ?? Buffer.alloc(0))
        : binding.decompress(plain, piece.data);
    return bytes === size ? ok(plain) : fail('a piece of another size than it says');
  } catch (thrown) {
    return fail(`a piece that does not unpack: ${messageOf(thrown)}`);
  }
}
