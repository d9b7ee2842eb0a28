/**
 * How long a job waits for others to leave its project: about as long as the command takes here, so that waiting costs
 * no more than it can gain, and one that waits for what the other is about to do (a server and its test) goes on.
 */

/** ms that are waited for in any case. */
const LEAST = 2000;

export type TurnNeeds = {
  /** About what the command takes here, ms; 0: it goes whatever that takes. */
  readonly hereMs: number;
  /** ms that it may wait for room on a worker. */
  readonly mostMs: number;
  /** It has waited for long enough, for this root at last. Once. */
  readonly tired: (root: string) => void;
};

/** All waits of one job together. */
export class TurnLimit {
  readonly #tired: (root: string) => void;
  #left: number;

  constructor({ hereMs, mostMs, tired }: TurnNeeds) {
    this.#tired = tired;
    this.#left = Math.max(LEAST, hereMs === 0 ? mostMs : Math.min(hereMs, mostMs));
  }

  /** A wait for a root begins; the value ends it. */
  wait(root: string): () => void {
    const began = performance.now();
    const timer = setTimeout(() => {
      this.#tired(root);
    }, this.#left);
    return () => {
      clearTimeout(timer);
      this.#left = Math.max(0, this.#left - (performance.now() - began));
    };
  }
}
