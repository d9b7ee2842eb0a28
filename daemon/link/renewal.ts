/** Leaves an agent of another version, which was there and had jobs when we came, for one of our own. */
import type { AgentClient } from './agent-client.ts';

/** Once nothing ran for so long, and again after the second where somebody else needs the one that is there; ms. */
const QUIET = 3000;
const AGAIN = 600_000;

export class Renewal {
  readonly #client: AgentClient;
  readonly #idle: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #renewed: number | undefined;

  /** `idle`: there are no jobs. */
  constructor(client: AgentClient, idle: () => boolean) {
    this.#client = client;
    this.#idle = idle;
  }

  /** A job has ended, or the connection stands anew. */
  soon(): void {
    if (!this.#client.foreign) return;
    clearTimeout(this.#timer);
    const last = this.#renewed;
    const wait = last === undefined ? QUIET : Math.max(QUIET, last + AGAIN - performance.now());
    this.#timer = setTimeout(() => {
      if (!this.#idle() || !this.#client.foreign) return;
      if (!this.#client.quiet) {
        this.soon();
        return;
      }
      this.#renewed = performance.now();
      this.#client.renew('its agent makes room for one of this version');
    }, wait);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
