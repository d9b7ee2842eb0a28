/** Pseudo-random choices, the same for a seed (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** One for each combination of whole numbers: what is drawn for one shifts nothing that is drawn for another. */
  static of(...numbers: readonly number[]): Chance {
    let state = 0;
    for (const number of numbers) {
      state = Math.imul(state ^ number, 0x9e3779b1);
      state = Math.imul(state ^ (state >>> 15), 0x85ebca77) + 1;
    }
    return new Chance(state);
  }

  /** Below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `least` on, below `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least));
  }

  pick<T>(of: readonly [T, ...T[]]): T {
    return of[this.between(0, of.length)] ?? of[0];
  }
}
