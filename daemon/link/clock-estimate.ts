/** How far a worker's clock is from ours, from question and answer times (the shortest round trips tell best). */

type Sample = { readonly offset: bigint; readonly roundTrip: bigint };

/** Samples kept; an old offset must not outlive a drift of either clock. */
const KEPT = 8;
/** ns that drift and a busy machine may account for beyond the round trips; more is a step of one of the clocks. */
const TOLERANCE = 250_000_000n;

/** ns by which clocks that are slowly brought together may move without a word. */
const MOVED = 100_000_000n;

const size = (value: bigint): bigint => (value < 0n ? -value : value);

export class ClockEstimate {
  readonly #samples: Sample[] = [];
  /** The offset when it was told last. */
  #told: bigint | undefined;

  /**
   * `sent` and `received` on our clock, `there` on theirs, all ns. Gives by how many ns one of the clocks was set since
   * the samples before, which then count for nothing; 0 where none was.
   */
  add(sent: bigint, there: bigint, received: bigint): bigint {
    const sample = { offset: there - (sent + received) / 2n, roundTrip: received - sent };
    const best = this.#best();
    const step = best === undefined ? 0n : sample.offset - best.offset;
    // Set in the middle of the round trip, our own clock gives it any length.
    const doubt = size(sample.roundTrip) / 2n + (best?.roundTrip ?? 0n) / 2n + TOLERANCE;
    const jumped = size(step) > doubt;
    if (jumped) this.#samples.length = 0;
    this.#samples.push(sample);
    if (this.#samples.length > KEPT) this.#samples.shift();
    return jumped ? step : 0n;
  }

  /** Their clock minus ours, ns; 0 before any sample. */
  get offset(): bigint {
    return this.#best()?.offset ?? 0n;
  }

  /** Whether the offset has moved since it was told last, for one who tells it now. */
  moved(): boolean {
    const moved = size(this.offset - (this.#told ?? this.offset)) > MOVED;
    if (moved || this.#told === undefined) this.#told = this.offset;
    return moved;
  }

  /** The shortest round trip seen, ms. */
  get roundTrip(): number {
    return Number(this.#best()?.roundTrip ?? 0n) / 1e6;
  }

  #best(): Sample | undefined {
    let best: Sample | undefined;
    for (const sample of this.#samples)
      if (best === undefined || sample.roundTrip < best.roundTrip) best = sample;
    return best;
  }
}
