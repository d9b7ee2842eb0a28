/**
 * Content-defined chunks: a file is cut where its own bytes say so, so that bytes inserted or removed move only the
 * cuts near them. Two sides that cut alike find by the chunks' hashes what they have in common.
 *
 * The chunks of a file in packed form, in their order: 16 bytes (the start of the chunk's BLAKE3), u32 length.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { blake3 } from '@napi-rs/blake-hash';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { type Part, PIECE } from './content.ts';

/** A chunk is 2^bits bytes long on average, at least a quarter and at most eight times of it (no more than a piece). */
export const LEAST_BITS = 13;
export const MOST_BITS = 17;
/** Chunks of a file, about, that are not exceeded. */
const MOST_CHUNKS = 1 << 16;
const HASH_BYTES = 16;
const RECORD = HASH_BYTES + 4;

/** The cut of a file of so many bytes. */
export function bitsFor(size: number): number {
  const bits = Math.ceil(Math.log2(Math.max(1, size / MOST_CHUNKS)));
  return Math.min(MOST_BITS, Math.max(LEAST_BITS, bits));
}

/** One random number a byte value ("gear"): xorshift32, so that every build has the same. */
const GEAR = new Uint32Array(256);
for (let i = 0, x = 0x9e3779b9; i < 256; i++) {
  for (let round = 0; round < 4; round++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  GEAR[i] = x;
}

/** Cuts a stream of bytes. The 32 bytes before a cut decide on it. */
export class Chunker {
  readonly #least: number;
  readonly #most: number;
  readonly #mask: number;
  #held: Buffer[] = [];
  #length = 0;
  #gear = 0;

  constructor(bits: number) {
    this.#least = 1 << (bits - 2);
    this.#most = 1 << (bits + 3);
    // The high bits depend on the most bytes.
    this.#mask = (~0 << (32 - bits)) | 0;
  }

  /** The chunks that `data` completes, in order; `data` must not be changed afterwards. */
  push(data: Buffer): Buffer[] {
    const chunks: Buffer[] = [];
    let from = 0;
    for (;;) {
      const cut = this.#cut(data, from);
      if (cut < 0) break;
      chunks.push(this.#take(data.subarray(from, cut)));
      from = cut;
    }
    if (from < data.length) this.#held.push(data.subarray(from));
    return chunks;
  }

  /** What is left at the end. */
  end(): Buffer[] {
    return this.#length > 0 ? [this.#take(Buffer.alloc(0))] : [];
  }

  /** Where, at or after `from`, the running chunk ends; -1: not in this data. */
  #cut(data: Buffer, from: number): number {
    const gears = GEAR;
    const mask = this.#mask;
    let gear = this.#gear;
    let length = this.#length;
    const skip = Math.min(Math.max(0, this.#least - 32 - length), data.length - from);
    length += skip;
    const till = Math.min(data.length, from + skip + this.#most - length);
    const calm = this.#least;
    let at = from + skip;
    for (; at < till; at++) {
      gear = ((gear << 1) + (gears[data[at] ?? 0] ?? 0)) | 0;
      length++;
      if ((gear & mask) === 0 && length >= calm) {
        at++;
        this.#gear = 0;
        this.#length = length;
        return at;
      }
    }
    this.#gear = gear;
    this.#length = length;
    if (length < this.#most) return -1;
    this.#gear = 0;
    return at;
  }

  #take(last: Buffer): Buffer {
    const chunk = this.#held.length === 0 ? last : Buffer.concat([...this.#held, last]);
    this.#held = [];
    this.#length = 0;
    this.#gear = 0;
    return chunk;
  }
}

function keyOf(chunk: Buffer): Buffer {
  return blake3(chunk).subarray(0, HASH_BYTES);
}

/** The packed chunks of a file's first `size` bytes. */
export async function outlineOf(path: Buffer, size: number, bits: number): Promise<Result<Buffer>> {
  const chunker = new Chunker(bits);
  const records: Buffer[] = [];
  const note = (chunk: Buffer): void => {
    const record = Buffer.allocUnsafe(RECORD);
    keyOf(chunk).copy(record);
    record.writeUInt32LE(chunk.length, HASH_BYTES);
    records.push(record);
  };
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      for (let at = 0; at < size;) {
        const block = Buffer.allocUnsafe(Math.min(PIECE, size - at));
        const { bytesRead } = await file.read(block, 0, block.length, at);
        if (bytesRead === 0) return fail('a file became shorter while it was read');
        chunker.push(block.subarray(0, bytesRead)).forEach(note);
        at += bytesRead;
      }
    } finally {
      await file.close();
    }
  } catch (thrown) {
    return fail(messageOf(thrown));
  }
  chunker.end().forEach(note);
  return ok(Buffer.concat(records));
}

/** The chunks of what the other side has, by their hash. */
export class Outline {
  readonly bits: number;
  readonly #chunks = new Map<string, { readonly from: number; readonly length: number }>();

  private constructor(bits: number) {
    this.bits = bits;
  }

  /** Reads packed chunks, which come from the other side; undefined when they cannot be such. */
  static read(bits: number, packed: Buffer): Outline | undefined {
    if (bits < LEAST_BITS || bits > MOST_BITS || packed.length % RECORD !== 0) return undefined;
    const outline = new Outline(bits);
    let from = 0;
    for (let at = 0; at < packed.length; at += RECORD) {
      const length = packed.readUInt32LE(at + HASH_BYTES);
      const key = packed.toString('latin1', at, at + HASH_BYTES);
      if (!outline.#chunks.has(key)) outline.#chunks.set(key, { from, length });
      from += length;
    }
    return outline;
  }

  /** Where the other side has these bytes; undefined: nowhere. */
  find(chunk: Buffer): number | undefined {
    const known = this.#chunks.get(keyOf(chunk).toString('latin1'));
    return known?.length === chunk.length ? known.from : undefined;
  }
}

/** A stretch of a content: bytes, a copy of the other side's, or zeros. */
export type Stretch =
  | Part
  | { readonly kind: 'copy'; readonly from: number; readonly length: number };

/** Turns the parts of a content into stretches against what the other side has; without an outline they stay. */
export class Stretches {
  readonly #outline: Outline | undefined;
  readonly #chunker: Chunker;
  #bytes: Buffer[] = [];
  #length = 0;
  #copy: { readonly from: number; length: number } | undefined;

  constructor(outline: Outline | undefined) {
    this.#outline = outline;
    this.#chunker = new Chunker(outline?.bits ?? LEAST_BITS);
  }

  /** What is certain now. Neighbours are joined: copies as far as they go, bytes up to 1 MiB. */
  push(part: Part): Stretch[] {
    const outline = this.#outline;
    if (outline === undefined) return [part];
    if (part.kind === 'zeros') return [...this.flush(), part];
    return this.#chunker.push(part.data).flatMap((chunk) => this.#add(chunk, outline));
  }

  /** Whatever was held back. */
  flush(): Stretch[] {
    const outline = this.#outline;
    if (outline === undefined) return [];
    const last = this.#chunker.end().flatMap((chunk) => this.#add(chunk, outline));
    return [...last, ...this.#takeCopy(), ...this.#takeBytes()];
  }

  #add(chunk: Buffer, outline: Outline): Stretch[] {
    const from = outline.find(chunk);
    if (from === undefined) {
      const done = this.#takeCopy();
      if (this.#length + chunk.length > PIECE) done.push(...this.#takeBytes());
      this.#bytes.push(chunk);
      this.#length += chunk.length;
      return done;
    }
    if (this.#copy !== undefined && this.#copy.from + this.#copy.length === from) {
      this.#copy.length += chunk.length;
      return [];
    }
    const done = [...this.#takeCopy(), ...this.#takeBytes()];
    this.#copy = { from, length: chunk.length };
    return done;
  }

  #takeCopy(): Stretch[] {
    const copy = this.#copy;
    this.#copy = undefined;
    return copy === undefined ? [] : [{ kind: 'copy', ...copy }];
  }

  #takeBytes(): Stretch[] {
    if (this.#length === 0) return [];
    const data = Buffer.concat(this.#bytes);
    this.#bytes = [];
    this.#length = 0;
    return [{ kind: 'bytes', data }];
  }
}
