/** The one line a terminal shows while a slow phase lasts. */
import { performance } from 'node:perf_hooks';

/** ms before a phase counts as slow, and between two redraws. */
const SLOW_MS = 700;
const REDRAW_MS = 150;
const CLEAR = '\r\u001b[K';

/** `1234567` as `1.2 MB`; decimal units, as disks and networks are sold. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? 'B'}`;
}

/** Draws one phase at a time through `say`, which gets terminal text. */
export class ProgressLine {
  readonly #say: (text: string) => void;
  #phase = '';
  #began = 0;
  #drawn = 0;
  #visible = false;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  begin(phase: string): void {
    this.#phase = phase;
    this.#began = performance.now();
    this.#drawn = 0;
  }

  /** Bytes moved so far of `total`; both 0 where a phase has no amount. */
  update(done: number, total: number): void {
    const now = performance.now();
    if (now - this.#began < SLOW_MS || now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    this.#visible = true;
    const rate = done / ((now - this.#began) / 1000);
    const left = rate > 0 && total > done ? `, ${Math.ceil((total - done) / rate)} s left` : '';
    const amount =
      total > 0
        ? ` ${formatBytes(done)} of ${formatBytes(total)}, ${formatBytes(rate)}/s${left}`
        : '';
    this.#say(`${CLEAR}\u001b[2mrch: ${this.#phase}${amount}\u001b[0m`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#visible) this.#say(CLEAR);
    this.#visible = false;
  }
}
