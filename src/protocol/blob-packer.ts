/** Packs pieces of content for the wire, both ways: compressed where that makes them arrive sooner. */
import { performance } from 'node:perf_hooks';
import { BlobCodec } from './agent.ts';
import { packPiece, PIECE_BYTES, type Piece } from './pieces.ts';

/** After compression was found to be the slower part, bytes until it is tried again. */
const REST_BYTES = 32 * 1024 * 1024;
/** After a piece that did not shrink, which most often is the start of a file that does not. */
const REST_AFTER_RAW = 4 * PIECE_BYTES;
/** A piece that is smaller says nothing of the pieces after it, bytes. */
const TELLING_BYTES = 64 * 1024;
/** Weight of the newest measurement in the running means. */
const NEWEST = 0.2;

/**
 * Chooses by what it measures: where the way is never full (a fast link), packing is what costs time, and
 * pieces go raw. `level` is zstd's, 0 never compresses.
 */
export class BlobPacker {
  readonly #level: number;
  #packing = 0;
  #blocked = 1;
  #rest = 0;

  constructor(level: number) {
    this.#level = level;
  }

  /** ms that sending the last piece waited for the way to clear. */
  waited(ms: number): void {
    this.#blocked += NEWEST * (ms - this.#blocked);
  }

  pack(piece: Buffer): Piece {
    if (this.#level === 0) return { codec: BlobCodec.raw, data: piece };
    if (this.#rest > 0) {
      this.#rest -= piece.length;
      return { codec: BlobCodec.raw, data: piece };
    }
    const began = performance.now();
    const packed = packPiece(piece, this.#level);
    this.#packing += NEWEST * (performance.now() - began - this.#packing);
    if (packed.codec === BlobCodec.raw && piece.length >= TELLING_BYTES)
      this.#rest = REST_AFTER_RAW;
    if (this.#packing > 2 * this.#blocked) this.#rest = REST_BYTES;
    return packed;
  }
}
