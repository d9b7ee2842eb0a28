/** Packs pieces of content for the wire, both ways: as hard as makes them arrive soonest by what is measured. */
import { performance } from 'node:perf_hooks';
import { BlobCodec } from './agent.ts';
import { packPiece, PIECE_BYTES, type Piece } from './pieces.ts';

/** What was seen of late; speeds in bytes a ms. */
export type Measured = {
  /** Packed bytes that the way takes. */
  readonly wire: number;
  /** Plain bytes that zstd's level 1 packs here. */
  readonly packing: number;
  /** Packed bytes of a plain one. */
  readonly ratio: number;
};

/**
 * zstd's levels against its first: share of the speed, and of the size, on sources and binaries (zstd's own table
 * of lzbench, rounded). Levels between two of these count as the lower one.
 */
const LEVELS = [
  { level: 1, speed: 1, size: 1 },
  { level: 3, speed: 0.6, size: 0.93 },
  { level: 6, speed: 0.25, size: 0.87 },
  { level: 9, speed: 0.13, size: 0.84 },
  { level: 12, speed: 0.06, size: 0.83 },
  { level: 15, speed: 0.025, size: 0.82 },
  { level: 19, speed: 0.008, size: 0.78 },
] as const;

/**
 * The level, at most `most`, at which a byte arrives soonest; 0: unpacked. One thread packs and sends, so the times
 * add up. Before anything was measured the way is taken for the slower part.
 */
export function levelFor(seen: Measured | undefined, most: number): number {
  if (seen === undefined || most === 0) return Math.min(most, 3);
  let best = { level: 0, time: 1 / seen.wire };
  for (const { level, speed, size } of LEVELS) {
    if (level > most) break;
    const time = 1 / (seen.packing * speed) + (seen.ratio * size) / seen.wire;
    if (time < best.time) best = { level, time };
  }
  return best.level;
}

/** Bytes after which what was measured counts half. */
const HALF_LIFE = 8 * PIECE_BYTES;
/** Pieces below this say little about speeds. */
const TELLING = 64 * 1024;
/** Plain bytes after which packing is tried again: other files may shrink better. */
const REST_BYTES = 32 * PIECE_BYTES;
/** No way and no packing is taken for faster, bytes a ms: what is handed to a buffer takes no time. */
const FASTEST = 5e6;

/** A speed, or another quotient, of late. */
class Mean {
  #over = 0;
  #under = 0;

  add(over: number, under: number, weight: number): void {
    const keep = 0.5 ** (weight / HALF_LIFE);
    this.#over = this.#over * keep + over;
    this.#under = this.#under * keep + under;
  }

  get value(): number | undefined {
    return this.#under > 0 ? this.#over / this.#under : undefined;
  }
}

/** A way that takes more, bytes a ms, is faster than two ends can cut a file and look its chunks up. */
const DIFFERING_WIRE = 60_000;

function speedOf(level: number): number {
  return LEVELS.findLast((each) => each.level <= level)?.speed ?? 1;
}

/** What packs pieces for one who sends them. */
export type Packer = Pick<BlobPacker, 'wire' | 'worthDiffering' | 'pack' | 'sent'>;

/** Packs the pieces that go one way; told of each what its sending took. */
export class BlobPacker {
  readonly #most: number;
  readonly #adaptive: boolean;
  readonly #wire = new Mean();
  readonly #packing = new Mean();
  readonly #ratio = new Mean();
  #rest = 0;

  /** `most`: the highest zstd level; 0 never packs. `adaptive`: less where that makes pieces arrive sooner. */
  constructor(most: number, adaptive = true) {
    this.#most = most;
    this.#adaptive = adaptive;
  }

  /** The same packer with another highest level, for one sender. */
  limited(most: number): Packer {
    const wire = (): number | undefined => this.wire;
    const differing = (): boolean => this.worthDiffering;
    return {
      get wire() {
        return wire();
      },
      get worthDiffering() {
        return differing();
      },
      pack: (piece) => this.pack(piece, most),
      sent: (bytes, ms) => {
        this.sent(bytes, ms);
      },
    };
  }

  /** Bytes a ms that the way takes, as far as it is known. */
  get wire(): number | undefined {
    return this.#wire.value;
  }

  /** Whether the way is not known to be so fast that sending all is sooner done than finding what differs. */
  get worthDiffering(): boolean {
    return this.wire === undefined || this.wire <= DIFFERING_WIRE;
  }

  pack(piece: Buffer, most = this.#most): Piece {
    const level = this.#levelNow(piece.length, most);
    if (level === 0) return { codec: BlobCodec.raw, data: piece };
    const began = performance.now();
    const packed = packPiece(piece, level);
    if (piece.length >= TELLING) {
      const ms = Math.max(performance.now() - began, piece.length / FASTEST);
      // In terms of level 1.
      this.#packing.add(piece.length, ms * speedOf(level), piece.length);
      this.#ratio.add(packed.data.length, piece.length, piece.length);
      // One that does not shrink is most often the start of a file that does not.
      if (packed.codec === BlobCodec.raw) this.#rest = 4 * PIECE_BYTES;
    }
    return packed;
  }

  /** Sending `bytes` took so long, ms. */
  sent(bytes: number, ms: number): void {
    this.#wire.add(bytes, Math.max(ms, bytes / FASTEST), bytes);
  }

  #levelNow(bytes: number, most: number): number {
    if (!this.#adaptive) return most;
    if (this.#rest > 0) {
      this.#rest -= bytes;
      if (this.#rest > 0) return 0;
      return Math.min(most, 1);
    }
    const [wire, packing, ratio] = [this.#wire.value, this.#packing.value, this.#ratio.value];
    const seen =
      wire === undefined || packing === undefined || ratio === undefined
        ? undefined
        : { wire, packing, ratio };
    const level = levelFor(seen, most);
    if (level === 0 && most > 0) this.#rest = REST_BYTES;
    return level;
  }
}
