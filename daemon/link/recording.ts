/** All that a command wrote, from its first byte on, for callers who asked for the same after it had begun. */

/** Bytes beyond which a recording is given up: whoever waits for it then runs the command again. */
const MOST_BYTES = 8 * 1024 * 1024;

/** `stream` as OutStream numbers them; `offset` in the stream. */
export type Piece = { readonly stream: number; readonly offset: bigint; readonly data: Buffer };

export class Recording {
  #pieces: Piece[] = [];
  readonly #ends = new Map<number, bigint>();
  #bytes = 0;
  #whole = true;

  /** Nothing is missing: it was recorded from the start and was not too much. */
  get whole(): boolean {
    return this.#whole;
  }

  /** In the order in which they came. */
  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /** How far each stream has come, by its number. */
  get ends(): ReadonlyMap<number, bigint> {
    return this.#ends;
  }

  /** Takes bytes of a stream; what is told again after a reconnect is known already. */
  add(stream: number, offset: bigint, data: Buffer): void {
    const end = this.#ends.get(stream) ?? 0n;
    const known = end - offset;
    if (known >= BigInt(data.length)) return;
    this.#ends.set(stream, offset + BigInt(data.length));
    if (!this.#whole) return;
    const fresh = data.subarray(Number(known > 0n ? known : 0n));
    this.#bytes += fresh.length;
    if (known < 0n || this.#bytes > MOST_BYTES) this.drop();
    else this.#pieces.push({ stream, offset: end, data: fresh });
  }

  /** Gives its memory back. */
  drop(): void {
    this.#whole = false;
    this.#pieces = [];
  }
}

/** Pieces as they are written to a job's file: the stream's number and base64, in their order. */
export type WrittenPieces = readonly (readonly [number, string])[];

export function writtenPieces(pieces: readonly Piece[]): [number, string][] {
  return pieces.map(({ stream, data }) => [stream, data.toString('base64')]);
}

export function readPieces(written: WrittenPieces): readonly Piece[] {
  const recording = new Recording();
  for (const [stream, text] of written)
    recording.add(stream, recording.ends.get(stream) ?? 0n, Buffer.from(text, 'base64'));
  return recording.pieces;
}

/** What of the pieces comes after the offsets that a launcher has written already. */
export function piecesFrom(
  pieces: readonly Piece[],
  written: (stream: number) => bigint,
): readonly Piece[] {
  return pieces.flatMap((piece) => {
    const known = written(piece.stream) - piece.offset;
    if (known <= 0n) return [piece];
    if (known >= BigInt(piece.data.length)) return [];
    const data = piece.data.subarray(Number(known));
    return [{ stream: piece.stream, offset: piece.offset + known, data }];
  });
}
