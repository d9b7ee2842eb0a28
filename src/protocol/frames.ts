/** Cuts a byte stream into frames and keeps the remainder; see codec.ts for the frame's layout. */
import { fail, ok, type Result } from '../base/result.ts';
import { decoder, FRAME_HEADER, type MessageOf, type MessageTable } from './codec.ts';

/** The largest frame anybody may send, in bytes; argv and environment together may reach 6 MiB on Linux. */
export const MAX_FRAME = 16 * 1024 * 1024;

/** Feeds chunks in, gets whole messages out; after a failure the stream is beyond repair. */
export class FrameReader<T extends MessageTable> {
  #chunks: Buffer[] = [];
  #held = 0;
  readonly #decode: (number: number, body: Buffer) => Result<MessageOf<T>>;

  constructor(table: T) {
    this.#decode = decoder(table);
  }

  /** Takes a chunk, which must not be reused by the caller, and returns the messages it completed. */
  push(chunk: Buffer): Result<MessageOf<T>[]> {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    const messages: MessageOf<T>[] = [];
    for (;;) {
      if (this.#held < FRAME_HEADER) return ok(messages);
      const head = this.#view(FRAME_HEADER);
      const length = head.readUInt32LE(0);
      if (length < 1 || length > MAX_FRAME) return fail(`a frame of ${length} bytes`);
      if (this.#held < 4 + length) return ok(messages);
      const frame = this.#view(4 + length);
      this.#drop(4 + length);
      const message = this.#decode(frame.readUInt8(4), frame.subarray(FRAME_HEADER));
      if (!message.ok) return message;
      messages.push(message.value);
    }
  }

  /** Bytes that wait for the rest of their frame. */
  get pending(): number {
    return this.#held;
  }

  #view(bytes: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= bytes) return first.subarray(0, bytes);
    if (bytes <= FRAME_HEADER) {
      const small = Buffer.allocUnsafe(bytes);
      let at = 0;
      for (const chunk of this.#chunks) {
        at += chunk.copy(small, at, 0, Math.min(chunk.length, bytes - at));
        if (at === bytes) break;
      }
      return small;
    }
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    return whole.subarray(0, bytes);
  }

  #drop(bytes: number): void {
    this.#held -= bytes;
    let left = bytes;
    while (left > 0) {
      const first = this.#chunks[0];
      if (first === undefined) throw new Error('dropped more than was held');
      if (first.length > left) {
        this.#chunks[0] = first.subarray(left);
        return;
      }
      left -= first.length;
      this.#chunks.shift();
    }
  }
}
