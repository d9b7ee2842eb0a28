/** Speeds of workers, as measured or as somebody else's benchmark says. Kept in speeds.json in the state folder. */
import { z } from 'zod';
import { benchmarkFacts } from '../../src/protocol/facts.ts';
import type { Complain } from './history.ts';
import { readState, writeState } from './state-file.ts';

const speed = z.object({
  /** 100 is the reference of daemon/select/speed.ts. */
  score: z.number(),
  /** ISO 8601 */
  at: z.string(),
  /** Null when the score comes from benchmark.url. */
  facts: benchmarkFacts.nullable(),
});
export type Speed = z.infer<typeof speed>;

export class Speeds {
  readonly #path: string;
  readonly #complain: Complain;
  readonly #speeds = new Map<string, Speed>();

  private constructor(path: string, complain: Complain) {
    this.#path = path;
    this.#complain = complain;
  }

  static open(path: string, complain: Complain): Speeds {
    const speeds = new Speeds(path, complain);
    const known = readState(path, z.record(z.string(), speed), complain) ?? {};
    for (const [worker, each] of Object.entries(known)) speeds.#speeds.set(worker, each);
    return speeds;
  }

  of(worker: string): Speed | undefined {
    return this.#speeds.get(worker);
  }

  set(worker: string, value: Speed): void {
    this.#speeds.set(worker, value);
    writeState(this.#path, Object.fromEntries(this.#speeds), this.#complain);
  }
}
