/** A caller's environment that remembers which of its names somebody asked for, so that an answer holds for others like it. */

export class AskedEnvironment {
  readonly asked: Set<string>;
  readonly #environment: Pick<ReadonlyMap<string, string>, 'get'>;

  /** `asked`: names known to be asked for. */
  constructor(environment: Pick<ReadonlyMap<string, string>, 'get'>, asked: Iterable<string> = []) {
    this.#environment = environment;
    this.asked = new Set(asked);
  }

  get(name: string): string | undefined {
    this.asked.add(name);
    return this.#environment.get(name);
  }

  /** Equal for environments that give the same answers. */
  answers(): string {
    const all = [...this.asked].sort();
    return JSON.stringify(all.map((name) => [name, this.#environment.get(name) ?? null]));
  }
}
