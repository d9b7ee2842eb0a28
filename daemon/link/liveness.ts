/** For how long an agent has given no sign of life, in beats. Whatever comes or goes is one: an answer may wait behind it. */

export class Liveness {
  readonly #beatMs: number;
  #heardAt: number;
  #lookedAt: number;
  #silent = false;

  /** Times are ms of a monotonic clock. */
  constructor(beatMs: number, now: number) {
    this.#beatMs = beatMs;
    this.#heardAt = now;
    this.#lookedAt = now;
  }

  /** A sign of life; true when it is the first after a silence that was told. */
  heard(now: number): boolean {
    const again = this.#silent;
    this.#heardAt = now;
    this.#silent = false;
    return again;
  }

  /** Asked once a beat, each time before the next question is sent: how many questions went without a sign. */
  missed(now: number): number {
    // Whoever stood still ourselves (a stopped process) has not listened either.
    if (now - this.#lookedAt > 1.5 * this.#beatMs)
      this.#heardAt = Math.max(this.#heardAt, now - this.#beatMs);
    this.#lookedAt = now;
    const missed = Math.max(0, Math.round((now - this.#heardAt) / this.#beatMs) - 1);
    if (missed > 0) this.#silent = true;
    return missed;
  }
}
