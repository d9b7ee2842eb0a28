/** Cuts a byte stream into frames and keeps the remainder; see codec.ts for the frame's layout. */
import { fail, ok, type Result } from '../base/result.ts';
import { decoder, FRAME_HEADER, type MessageOf, type MessageTable } from './codec.ts';

/** The largest frame anybody may send, in bytes; argv and environment together may reach 6 MiB on Linux. */
export const MAX_FRAME = 16 * 1024 * 1024;

/** Bodies from this size on, bytes, are put together in memory that is used again. */
const WORTH_REUSE = 64 * 1024;

export type FrameOptions = {
  /**
   * The number of a message whose `bytes` are of no use any more when the next but one of it comes: garbage of their
   * size would cost more than all else that is done with them.
   */
  readonly passing?: number;
};

/** Feeds chunks in, gets whole messages out; after a failure the stream is beyond repair. */
export class FrameReader<T extends MessageTable> {
  readonly #decode: (number: number, body: Buffer) => Result<MessageOf<T>>;
  readonly #passing: number | undefined;
  /** Of the frame that is coming, as far as it has come. */
  readonly #head = Buffer.allocUnsafe(FRAME_HEADER);
  #headHeld = 0;
  #body: Buffer | undefined;
  #bodyHeld = 0;
  /** One may still be in use while the next is filled. */
  #spare: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];

  constructor(table: T, options: FrameOptions = {}) {
    this.#decode = decoder(table);
    this.#passing = options.passing;
  }

  /** Takes a chunk, which must not be reused by the caller, and returns the messages it completed. */
  push(chunk: Buffer): Result<MessageOf<T>[]> {
    const messages: MessageOf<T>[] = [];
    for (let at = 0; at < chunk.length;) {
      if (this.#body === undefined) {
        const copied = chunk.copy(this.#head, this.#headHeld, at);
        at += copied;
        this.#headHeld += copied;
        if (this.#headHeld < FRAME_HEADER) break;
        const length = this.#head.readUInt32LE(0);
        if (length < 1 || length > MAX_FRAME) return fail(`a frame of ${length} bytes`);
        const whole = chunk.length - at >= length - 1;
        // Most messages come whole, and need no copy.
        this.#body = whole ? chunk.subarray(at, at + length - 1) : this.#room(length - 1);
        this.#bodyHeld = whole ? length - 1 : chunk.copy(this.#body, 0, at);
        at += this.#bodyHeld;
      } else {
        const copied = chunk.copy(this.#body, this.#bodyHeld, at);
        at += copied;
        this.#bodyHeld += copied;
      }
      if (this.#bodyHeld < this.#body.length) break;
      const message = this.#decode(this.#head.readUInt8(4), this.#body);
      this.#headHeld = 0;
      this.#body = undefined;
      if (!message.ok) return message;
      messages.push(message.value);
    }
    return ok(messages);
  }

  /**
   * Memory for a body that comes in several chunks. Of one chunk at most one such body ends and one begins: two are
   * never more in use at once.
   */
  #room(length: number): Buffer {
    if (length < WORTH_REUSE || this.#head.readUInt8(4) !== this.#passing)
      return Buffer.allocUnsafe(length);
    const [next, used] = this.#spare;
    const room = next.length >= length ? next : Buffer.allocUnsafeSlow(length);
    this.#spare = [used, room];
    return room.subarray(0, length);
  }

  /** Bytes that wait for the rest of their frame. */
  get pending(): number {
    return this.#headHeld + (this.#body === undefined ? 0 : this.#bodyHeld);
  }
}
