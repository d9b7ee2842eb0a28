/** How far a worker's clock is from ours, from question and answer times (the shortest round trips tell best). */

type Sample = { readonly offset: bigint; readonly roundTrip: bigint };

/** Samples kept; an old offset must not outlive a drift or a step of either clock. */
const KEPT = 8;

export class ClockEstimate {
  readonly #samples: Sample[] = [];

  /** `sent` and `received` on our clock, `there` on theirs, all ns. */
  add(sent: bigint, there: bigint, received: bigint): void {
    this.#samples.push({ offset: there - (sent + received) / 2n, roundTrip: received - sent });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  /** Their clock minus ours, ns; 0 before any sample. */
  get offset(): bigint {
    return this.#best()?.offset ?? 0n;
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
