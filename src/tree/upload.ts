/** A content on its way into a store: a file that grows, and what of it has come. */
import { type FileHandle, open } from 'node:fs/promises';
import { constants } from 'node:fs';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { PIECE } from './content.ts';
import { hashZeros } from './holes.ts';
import type { Hash } from './manifest.ts';
import { writeSparse } from './sparse.ts';

/** Bytes that need not come: `length` zeros, or as many of the file at `path` from `from` on. */
export type Fill = {
  readonly length: number;
  readonly copy?: { readonly path: Buffer; readonly from: number };
};

export class Upload {
  readonly size: number;
  readonly #handle: FileHandle;
  /** What came as one piece from the start; the file's length is kept at it, for a resume. */
  #held: number;
  /** Pieces beyond that: start to end. */
  readonly #beyond = new Map<number, number>();
  /** Of what came in order, as long as it did and nothing was there before. */
  #hasher: Blake3Hasher | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(handle: FileHandle, size: number, held: number) {
    this.#handle = handle;
    this.size = size;
    this.#held = held;
    this.#hasher = held === 0 ? new Blake3Hasher() : undefined;
  }

  /** Opens or makes the file; one that is longer than the content is begun anew. */
  static async open(path: string, size: number): Promise<Result<Upload>> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      let held = (await handle.stat()).size;
      if (held > size) {
        await handle.truncate(0);
        held = 0;
      }
      return ok(new Upload(handle, size, held));
    } catch (thrown) {
      await handle?.close();
      return fail(`an upload cannot be written: ${messageOf(thrown)}`);
    }
  }

  /** Bytes that came from the start without a gap. */
  get held(): number {
    return this.#held;
  }

  /** Takes a piece; a copy of what came already is harmless. */
  write(offset: number, data: Buffer): Promise<Result<void>> {
    const written = this.#writing.then(() => this.#write(offset, data));
    this.#writing = written;
    return written;
  }

  /** As `write`, of bytes that need not come; only at the end of what is held. */
  fill(offset: number, what: Fill): Promise<Result<void>> {
    const filled = this.#writing.then(() =>
      what.copy === undefined ? this.#zeros(offset, what.length) : this.#copy(offset, what),
    );
    this.#writing = filled;
    return filled;
  }

  /** The hash of the whole, when it is known without reading the file again. */
  digest(): Hash | undefined {
    if (this.#held !== this.size) return undefined;
    return this.#hasher?.digestBuffer().toString('hex');
  }

  /** Closes the file, at the length of what came from the start. */
  async close(): Promise<Result<void>> {
    await this.#writing;
    try {
      await this.#handle.truncate(this.#held);
      await this.#handle.close();
      return ok(undefined);
    } catch (thrown) {
      await this.#handle.close().catch(() => undefined);
      return fail(`an upload cannot be written: ${messageOf(thrown)}`);
    }
  }

  async #zeros(offset: number, length: number): Promise<Result<void>> {
    if (offset !== this.#held || offset + length > this.size || this.#beyond.size > 0)
      return fail(`${length} zeros at ${offset} in a content of ${this.size}`);
    // What was never written reads as zeros.
    if (this.#hasher !== undefined) await hashZeros(this.#hasher, length);
    this.#held = offset + length;
    return ok(undefined);
  }

  async #copy(offset: number, { length, copy }: Fill): Promise<Result<void>> {
    if (copy === undefined) return fail('there is nothing to copy from');
    let base: FileHandle | undefined;
    try {
      base = await open(copy.path, constants.O_RDONLY | constants.O_NOFOLLOW);
      for (let at = 0; at < length;) {
        const block = Buffer.allocUnsafe(Math.min(PIECE, length - at));
        const { bytesRead } = await base.read(block, 0, block.length, copy.from + at);
        if (bytesRead === 0) return fail('the base of a copy is shorter than it was');
        const written = await this.#write(offset + at, block.subarray(0, bytesRead));
        if (!written.ok) return written;
        at += bytesRead;
      }
      return ok(undefined);
    } catch (thrown) {
      return fail(`the base of a copy cannot be read: ${messageOf(thrown)}`);
    } finally {
      await base?.close();
    }
  }

  async #write(offset: number, data: Buffer): Promise<Result<void>> {
    const end = offset + data.length;
    if (!Number.isSafeInteger(offset) || offset < 0 || end > this.size)
      return fail(`a piece of ${data.length} bytes at ${offset} in a content of ${this.size}`);
    if (end <= this.#held) return ok(undefined);
    const from = Math.max(offset, this.#held);
    const fresh = data.subarray(from - offset);
    try {
      const writing = writeSparse(this.#handle, fresh, from);
      const next = from === this.#held;
      if (!next) this.#hasher = undefined;
      // While the disk is at it.
      this.#hasher?.update(fresh);
      await writing;
      if (next) this.#advance(end);
      else this.#beyond.set(from, Math.max(end, this.#beyond.get(from) ?? 0));
      return ok(undefined);
    } catch (thrown) {
      // It has hashed what is not there.
      this.#hasher = undefined;
      return fail(`an upload cannot be written: ${messageOf(thrown)}`);
    }
  }

  #advance(end: number): void {
    this.#held = end;
    for (let more = true; more;) {
      more = false;
      for (const [from, to] of this.#beyond) {
        if (from > this.#held) continue;
        this.#beyond.delete(from);
        this.#held = Math.max(this.#held, to);
        more = true;
      }
    }
  }
}
