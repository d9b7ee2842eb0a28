/** How far the cases are: one line that is drawn over, on a terminal; faults as they are found. */
import type { CaseRun } from './one-case.ts';

const CLEAR = '\r\u001b[K';

export class Progress {
  readonly #total: number;
  readonly #shown: boolean;
  readonly #faulty = new Set<string>();
  #begun = 0;

  constructor(total: number, silent: boolean) {
    this.#total = total;
    this.#shown = process.stderr.isTTY && !silent;
  }

  begin(id: string): void {
    this.#begun += 1;
    if (!this.#shown) return;
    const faults = this.#faulty.size === 0 ? '' : `, ${this.#faulty.size} with faults`;
    const line = `${this.#begun} of ${this.#total}${faults}: ${id}`;
    process.stderr.write(`${CLEAR}${line.slice(0, Math.max(20, process.stderr.columns - 1))}`);
  }

  fault(run: CaseRun): void {
    this.#faulty.add(run.id);
    if (this.#shown) process.stderr.write(`${CLEAR}FAULT ${run.id} (${run.streams})\n`);
  }

  end(): void {
    if (this.#shown) process.stderr.write(CLEAR);
  }
}
