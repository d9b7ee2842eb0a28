/** Packs pieces of content for the wire: compressed where that makes them arrive sooner. */
import { performance } from 'node:perf_hooks';
import { compress } from 'zstd-napi';
import { BlobCodec } from '../../src/protocol/agent.ts';

/** A piece that does not shrink below this share is sent as it is. */
const WORTH = 0.95;
/** After compression was found to be the slower part, bytes until it is tried again. */
const REST_BYTES = 32 * 1024 * 1024;
/** Weight of the newest measurement in the running means. */
const NEWEST = 0.2;

export type PackedPiece = { readonly codec: BlobCodec; readonly data: Buffer };

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

  pack(piece: Buffer): PackedPiece {
    if (this.#level === 0) return { codec: BlobCodec.raw, data: piece };
    if (this.#rest > 0) {
      this.#rest -= piece.length;
      return { codec: BlobCodec.raw, data: piece };
    }
    const began = performance.now();
    const packed = compress(piece, { compressionLevel: this.#level });
    this.#packing += NEWEST * (performance.now() - began - this.#packing);
    if (this.#packing > 2 * this.#blocked) this.#rest = REST_BYTES;
    return packed.length < piece.length * WORTH
      ? { codec: BlobCodec.zstd, data: packed }
      : { codec: BlobCodec.raw, data: piece };
  }
}
