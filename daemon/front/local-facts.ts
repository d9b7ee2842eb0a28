/** The facts of this machine for decisions: taken anew, but not for each of a burst of questions. */
import { machineFacts, type FactsOptions } from '../../src/facts/machine.ts';
import type { MachineFacts } from '../../src/protocol/facts.ts';

/** ms that an answer holds: shorter than anybody needs to install a package and start a build. */
const FRESH = 1000;
/** Answers kept; each differs by PATH or by the tools asked for. */
const MOST = 16;

type Taken = { readonly at: number; readonly facts: Promise<MachineFacts> };

export class LocalFacts {
  readonly #taken = new Map<string, Taken>();

  take(tools: readonly string[], options: FactsOptions): Promise<MachineFacts> {
    const key = JSON.stringify([options, tools]);
    const known = this.#taken.get(key);
    const now = performance.now();
    if (known !== undefined && now - known.at < FRESH) return known.facts;
    const facts = machineFacts(tools, options);
    this.#taken.delete(key);
    this.#taken.set(key, { at: now, facts });
    if (this.#taken.size > MOST) {
      const oldest = this.#taken.keys().next();
      if (oldest.done !== true) this.#taken.delete(oldest.value);
    }
    return facts;
  }
}
