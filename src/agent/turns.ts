/** Who may use a tree: one alone, or several that share it; first come, first served. */
import { fail, ok, type Result } from '../base/result.ts';

type Waiter = {
  readonly alone: boolean;
  readonly go: () => void;
};

export class Turns {
  readonly #waiting: Waiter[] = [];
  #sharing = 0;
  #alone = false;

  /** Nobody holds it and nobody waits. */
  get idle(): boolean {
    return !this.#alone && this.#sharing === 0 && this.#waiting.length === 0;
  }

  /** How many hold it. */
  get holders(): number {
    return this.#alone ? 1 : this.#sharing;
  }

  /** Waits for a turn; the value gives it back, and may be called more than once. */
  take(alone: boolean, signal: AbortSignal): Promise<Result<() => void>> {
    if (signal.aborted) return Promise.resolve(fail('given up while waiting'));
    return new Promise((resolve) => {
      const waiter: Waiter = {
        alone,
        go: () => {
          signal.removeEventListener('abort', leave);
          resolve(ok(this.#begin(alone)));
        },
      };
      const leave = (): void => {
        const at = this.#waiting.indexOf(waiter);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve(fail('given up while waiting'));
        this.#next();
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
      this.#next();
    });
  }

  #begin(alone: boolean): () => void {
    if (alone) this.#alone = true;
    else this.#sharing += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (alone) this.#alone = false;
      else this.#sharing -= 1;
      this.#next();
    };
  }

  #next(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || this.#alone || (first.alone && this.#sharing > 0)) return;
      this.#waiting.shift();
      first.go();
    }
  }
}
