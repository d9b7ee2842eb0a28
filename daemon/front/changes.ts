/** A bell that all who wait hear: something changed, look again. */
export class Changes {
  #waiting = new Set<() => void>();
  #rings = 0;

  /** How often it rang. */
  get rings(): number {
    return this.#rings;
  }

  ring(): void {
    this.#rings++;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** Settles at the next ring, after `ms`, or when `signal` aborts, whichever is first. */
  next(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      if (signal.aborted) {
        wake();
        return;
      }
      signal.addEventListener('abort', wake);
      this.#waiting.add(wake);
    });
  }
}
