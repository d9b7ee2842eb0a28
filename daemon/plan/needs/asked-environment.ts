/**
 * A caller's environment as build files see it. It remembers which of its names somebody asked for, so that an answer
 * holds for others like it; a value that no worker is given shows as such, and is not remembered.
 */
import { unknownValue } from './variables.ts';

export type Environment = Pick<ReadonlyMap<string, string>, 'get'>;

export class AskedEnvironment {
  readonly asked: Set<string>;
  readonly #environment: Environment;
  readonly #withheld: ReadonlySet<string>;

  /** `asked`: names known to be asked for. */
  constructor(
    environment: Environment,
    withheld: ReadonlySet<string>,
    asked: Iterable<string> = [],
  ) {
    this.#environment = environment;
    this.#withheld = withheld;
    this.asked = new Set(asked);
  }

  get(name: string): string | undefined {
    this.asked.add(name);
    return this.#withheld.has(name) ? unknownValue(name) : this.#environment.get(name);
  }

  /** Equal for environments that give the same answers. */
  answers(): string {
    return JSON.stringify([...this.asked].sort().map((name) => [name, this.get(name) ?? null]));
  }
}
