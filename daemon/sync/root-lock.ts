/** Who may use a root now: one writer, or several readers, first come first served. */

type Waiter = { readonly exclusive: boolean; readonly admit: () => void };

export type Hold = {
  /** May be called more than once. */
  readonly release: () => void;
  /** A writer becomes a reader, without anybody between. */
  readonly share: () => void;
};

export class RootLock {
  #readers = 0;
  #writer = false;
  readonly #waiting: Waiter[] = [];

  /** Whether anybody would have to wait now. */
  get busy(): boolean {
    return this.#writer || this.#readers > 0 || this.#waiting.length > 0;
  }

  /** Rejects when the signal is aborted first. */
  acquire(exclusive: boolean, signal: AbortSignal): Promise<Hold> {
    return new Promise((resolve, reject: (reason: Error) => void) => {
      const waiter: Waiter = {
        exclusive,
        admit: () => {
          signal.removeEventListener('abort', aborted);
          resolve(this.#hold(exclusive));
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

  #hold(exclusive: boolean): Hold {
    if (exclusive) this.#writer = true;
    else this.#readers += 1;
    let held: 'writer' | 'reader' | 'nothing' = exclusive ? 'writer' : 'reader';
    const become = (next: 'reader' | 'nothing'): void => {
      if (held === 'writer') this.#writer = false;
      if (held === 'reader') this.#readers -= 1;
      if (next === 'reader') this.#readers += 1;
      held = next;
      this.#admit();
    };
    return {
      release: () => {
        if (held !== 'nothing') become('nothing');
      },
      share: () => {
        if (held === 'writer') become('reader');
      },
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
