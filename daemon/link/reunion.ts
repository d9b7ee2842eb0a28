/** Waiting, within a limit, for an agent that went away to come back. */
export class Reunion {
  readonly #patienceMs: number;
  #timer: NodeJS.Timeout | undefined;
  readonly #waiting = new Set<(back: boolean) => void>();
  #inVain = false;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Starts the wait unless it runs; `over` is called when it was in vain. */
  begin(over: () => void): void {
    this.#timer ??= setTimeout(() => {
      this.#settle(false);
      over();
    }, this.#patienceMs);
  }

  /** The agent is back, or nobody waits any more. */
  end(): void {
    this.#settle(true);
  }

  /** From now on nobody waits for an agent that is away. */
  giveUp(): void {
    this.#inVain = true;
    this.#settle(false);
  }

  /** True once the agent is back, false when the wait was in vain; `back` says whether it is here already. */
  wait(back: () => boolean): Promise<boolean> {
    if (back()) return Promise.resolve(true);
    if (this.#inVain) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      this.begin(() => undefined);
    });
  }

  #settle(back: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#waiting) resolve(back);
    this.#waiting.clear();
  }
}
