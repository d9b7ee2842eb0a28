/** The output of one stream of a job, kept until the launcher has written it, so that nothing is lost or doubled. */

/** A piece of output; `offset` counts from the stream's first byte. */
export type OutputPiece = { readonly offset: bigint; readonly data: Buffer };

export class Output {
  #chunks: Buffer[] = [];
  /** Everything before it was acknowledged. */
  #start = 0n;
  #end = 0n;

  /** Where the next byte will stand. */
  get end(): bigint {
    return this.#end;
  }

  /** Appends bytes the tool wrote, and gives them with their offset. `data` must not change afterwards. */
  add(data: Buffer): OutputPiece {
    const piece = { offset: this.#end, data };
    this.#chunks.push(data);
    this.#end += BigInt(data.length);
    return piece;
  }

  /** Forgets what is written there; gives the number of bytes forgotten now. Offsets outside what is held count as its edges. */
  acknowledge(offset: bigint): number {
    const until = offset > this.#end ? this.#end : offset;
    if (until <= this.#start) return 0;
    const freed = Number(until - this.#start);
    let left = freed;
    while (left > 0) {
      const first = this.#chunks[0];
      if (first === undefined) break;
      if (first.length > left) {
        this.#chunks[0] = first.subarray(left);
        break;
      }
      left -= first.length;
      this.#chunks.shift();
    }
    this.#start = until;
    return freed;
  }

  /** All that is held, in pieces, for a connection that begins anew. */
  held(): OutputPiece[] {
    let offset = this.#start;
    return this.#chunks.map((data) => {
      const piece = { offset, data };
      offset += BigInt(data.length);
      return piece;
    });
  }
}
