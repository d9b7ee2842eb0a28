/** The one line a terminal shows while a slow phase lasts. */
import { performance } from 'node:perf_hooks';
import { formatProgress } from '../../src/base/amounts.ts';

/** ms before a phase counts as slow, and between two redraws. */
const SLOW_MS = 700;
const REDRAW_MS = 150;
const CLEAR = '\r\u001b[K';

/** Draws one phase at a time through `say`, which gets terminal text. */
export class ProgressLine {
  readonly #say: (text: string) => void;
  #phase = '';
  #began = 0;
  #drawn = 0;
  #done = 0;
  #total = 0;
  #visible = false;
  #late: NodeJS.Timeout | undefined;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  begin(phase: string): void {
    this.#phase = phase;
    this.#began = performance.now();
    this.#drawn = 0;
    this.#done = 0;
    this.#total = 0;
    clearTimeout(this.#late);
    // A phase that moves nothing (a first look at a large tree), or all at once into what lies on its way, shows so too.
    this.#late = setTimeout(() => {
      this.update(this.#done, this.#total);
    }, SLOW_MS).unref();
  }

  /** Bytes moved so far of `total`; both 0 where a phase has no amount. */
  update(done: number, total: number): void {
    const now = performance.now();
    this.#done = done;
    this.#total = total;
    if (now - this.#began < SLOW_MS || now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    this.#visible = true;
    const rate = done / ((now - this.#began) / 1000);
    const amount = total > 0 ? `: ${formatProgress(done, total, rate)}` : '';
    this.#say(`${CLEAR}\u001b[2mrch: ${this.#phase}${amount}\u001b[0m`);
  }

  /** Takes the line away. */
  end(): void {
    clearTimeout(this.#late);
    if (this.#visible) this.#say(CLEAR);
    this.#visible = false;
  }
}
