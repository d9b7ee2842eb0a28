/** One duplex stream over a source and a sink, with the same behaviour whatever lies below: ssh channel or child. */
import { Duplex, type Readable, type Writable } from 'node:stream';

/** Bytes that wait on each side before the other is held back. */
const HIGH_WATER = 1 << 20;
/** Writes that wait are joined up to this size, since each one costs a packet or a system call. */
const JOINED = 128 << 10;

export type StreamEnds = {
  readonly source: Readable;
  readonly sink: Writable;
  /** Ends what is below; called once. */
  readonly close: () => void;
};

/**
 * `destroyed` as soon as what is below is gone. When the far side ends in order, what it sent is delivered first:
 * then come 'end' and 'close', also if we have not ended our side.
 */
export class WorkerStream extends Duplex {
  readonly #ends: StreamEnds;
  #blocked: (() => void) | undefined;
  #sourceEnded = false;

  constructor(ends: StreamEnds) {
    super({ highWaterMark: HIGH_WATER, allowHalfOpen: true });
    this.#ends = ends;
    const { source, sink } = ends;
    source.on('data', (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) source.pause();
    });
    source.pause();
    source.on('end', () => {
      this.#endSource();
    });
    sink.on('drain', () => {
      const blocked = this.#blocked;
      this.#blocked = undefined;
      blocked?.();
    });
    const broken = (): void => undefined;
    source.on('error', broken);
    sink.on('error', broken);
  }

  /** The far side is gone. `inOrder`: all it sent has been received. */
  finish(inOrder: boolean): void {
    if (this.destroyed) return;
    if (!inOrder) {
      this.destroy();
      return;
    }
    if (this.readableEnded) {
      this.destroy();
      return;
    }
    this.once('end', () => this.destroy());
    // What lies below may still hold bytes that we stopped it from giving.
    if (this.#ends.source.readableEnded || this.#ends.source.destroyed) this.#endSource();
  }

  #endSource(): void {
    if (this.#sourceEnded || this.destroyed) return;
    this.#sourceEnded = true;
    this.push(null);
  }

  override _read(): void {
    this.#ends.source.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#ends.sink.write(chunk)) done();
    else this.#blocked = done;
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer; readonly encoding: BufferEncoding }[],
    done: () => void,
  ): void {
    const joined = joinedUpTo(
      JOINED,
      chunks.map((each) => each.chunk),
    );
    const room = joined.map((chunk) => this.#ends.sink.write(chunk)).at(-1) ?? true;
    if (room) done();
    else this.#blocked = done;
  }

  override _final(done: () => void): void {
    this.#ends.sink.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#blocked = undefined;
    this.#ends.close();
    // What still comes is dropped: an ssh channel tells its end only when all before it was read.
    this.#ends.source.resume();
    done(error);
  }
}

/** The same bytes in fewer pieces: neighbours are joined while they stay within `limit` together. */
function joinedUpTo(limit: number, chunks: readonly Buffer[]): Buffer[] {
  const groups: Buffer[][] = [];
  let bytes = Infinity;
  for (const chunk of chunks) {
    if (bytes + chunk.length > limit) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(chunk);
    bytes += chunk.length;
  }
  return groups.map((group) =>
    group.length === 1 && group[0] !== undefined ? group[0] : Buffer.concat(group),
  );
}
