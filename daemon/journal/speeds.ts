/** Speeds of workers, as measured or as somebody else's benchmark says. Kept in speeds.json in the state folder. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../src/base/result.ts';
import { benchmarkFacts } from '../../src/protocol/facts.ts';
import type { Complain } from './history.ts';

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
    try {
      const known = z.record(z.string(), speed).parse(JSON.parse(readFileSync(path, 'utf8')));
      for (const [worker, each] of Object.entries(known)) speeds.#speeds.set(worker, each);
    } catch (thrown) {
      const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
      if (!missing) complain(`${path} cannot be used and is written anew: ${messageOf(thrown)}`);
    }
    return speeds;
  }

  of(worker: string): Speed | undefined {
    return this.#speeds.get(worker);
  }

  set(worker: string, value: Speed): void {
    this.#speeds.set(worker, value);
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      const temporary = `${this.#path}.new`;
      const text = JSON.stringify(Object.fromEntries(this.#speeds), null, 1);
      writeFileSync(temporary, text, { mode: 0o600 });
      renameSync(temporary, this.#path);
    } catch (thrown) {
      this.#complain(`${this.#path}: ${messageOf(thrown)}`);
    }
  }
}
