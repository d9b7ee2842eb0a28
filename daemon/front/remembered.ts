/** A value that is made anew only when something it is made from has changed, for what many ask at once. */

/** ms for which a value holds that also changes as time goes by. */
const FRESH = 100;

export class Remembered<T> {
  readonly #make: () => T;
  #kept: { readonly version: number; readonly at: number; readonly value: T } | undefined;

  constructor(make: () => T) {
    this.#make = make;
  }

  /** `version`: another number whenever something has changed. */
  of(version: number): T {
    const now = performance.now();
    const kept = this.#kept;
    if (kept !== undefined && kept.version === version && now - kept.at < FRESH) return kept.value;
    const value = this.#make();
    this.#kept = { version, at: now, value };
    return value;
  }
}
