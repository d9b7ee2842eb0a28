/** Who may use a root now: one writer, or several readers, first come first served. */

type Waiter = { readonly exclusive: boolean; readonly admit: () => void };

export class RootLock {
  #readers = 0;
  #writer = false;
  readonly #waiting: Waiter[] = [];

  /** Whether anybody would have to wait now. */
  get busy(): boolean {
    return this.#writer || this.#readers > 0 || this.#waiting.length > 0;
  }

  /** Resolves with the release, which may be called more than once; rejects with the signal's reason. */
  acquire(exclusive: boolean, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject: (reason: Error) => void) => {
      const waiter: Waiter = {
        exclusive,
        admit: () => {
          signal.removeEventListener('abort', aborted);
          resolve(this.#releaser(exclusive));
        },
      };
      const aborted = (): void => {
        const at = this.#waiting.indexOf(waiter);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(new Error('gave up waiting for the root'));
        this.#admit();
      };
      if (signal.aborted) {
        aborted();
        return;
      }
      signal.addEventListener('abort', aborted, { once: true });
      this.#waiting.push(waiter);
      this.#admit();
    });
  }

  #releaser(exclusive: boolean): () => void {
    if (exclusive) this.#writer = true;
    else this.#readers += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      if (exclusive) this.#writer = false;
      else this.#readers -= 1;
      this.#admit();
    };
  }

  #admit(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || this.#writer) return;
      if (first.exclusive && this.#readers > 0) return;
      this.#waiting.shift();
      first.admit();
    }
  }
}
