/** The end of a stream of bytes, in memory of a fixed size. */

/** Bytes kept by default: some screens of text. */
const SIZE = 16 * 1024;

export class Tail {
  readonly #size: number;
  /** Byte n of the stream lies at n modulo #size; made with the first bytes, as most streams stay empty. */
  #ring: Buffer | undefined;
  #total = 0;
  /** The first byte that is held. */
  #from = 0;

  /** `size`: bytes kept. */
  constructor(size = SIZE) {
    this.#size = size;
  }

  /** Bytes that came so far, those that are known to be missing counted as one each time. */
  get total(): number {
    return this.#total;
  }

  add(data: Buffer): void {
    if (data.length === 0) return;
    this.#ring ??= Buffer.allocUnsafeSlow(this.#size);
    const last = data.length > this.#size ? data.subarray(data.length - this.#size) : data;
    this.#total += data.length;
    const at = (this.#total - last.length) % this.#size;
    const first = last.copy(this.#ring, at);
    last.copy(this.#ring, 0, first);
    this.#from = Math.max(this.#from, this.#total - this.#size);
  }

  /** What comes next does not follow what is held. */
  break(): void {
    this.#total += 1;
    this.#from = this.#total;
  }

  /** What came from byte `from` on; `skipped`: some of that is no longer held. */
  since(from: number): { readonly data: Buffer; readonly skipped: boolean } {
    const begin = Math.max(from, this.#from);
    const data = Buffer.alloc(Math.max(0, this.#total - begin));
    const first = this.#ring?.copy(data, 0, begin % this.#size) ?? 0;
    this.#ring?.copy(data, first, 0);
    return { data, skipped: begin > from };
  }
}
