/** What of the cases' tools is here and there: a case whose tool or need is missing is left out, by name. */
import { spawn } from 'node:child_process';
import type { Case } from './case-file.ts';

/** Tools that a worker is brought. */
const carried = new Set(['cargo', 'rustc']);

export type Skipped = { readonly what: string; readonly why: string };

export class Presence {
  readonly skipped: Skipped[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #there: ReadonlySet<string>;
  readonly #known = new Map<string, Promise<boolean>>();
  readonly #told = new Set<string>();

  /** `there`: the tools that a worker has. */
  constructor(env: Readonly<Record<string, string>>, there: ReadonlySet<string>) {
    this.#env = env;
    this.#there = there;
  }

  /** True when the case cannot be run. */
  async missing(one: Case): Promise<boolean> {
    // A proxy of rustup without a toolchain is there and does not work.
    if (!(await this.#works(`${one.tool} --version`))) {
      this.#skip(`all cases of ${one.tool}`, `${one.tool} is not here`);
      return true;
    }
    if (!carried.has(one.tool) && !this.#there.has(one.tool)) {
      this.#skip(`all cases of ${one.tool}`, `no worker has ${one.tool}`);
      return true;
    }
    if (one.needs === undefined || (await this.#works(one.needs))) return false;
    this.#skip(one.id, `it needs: ${one.needs}`);
    return true;
  }

  #skip(what: string, why: string): void {
    if (!this.#told.has(what)) this.skipped.push({ what, why });
    this.#told.add(what);
  }

  #works(line: string): Promise<boolean> {
    let known = this.#known.get(line);
    if (known === undefined) {
      known = new Promise((resolve) => {
        const child = spawn('/bin/sh', ['-c', line], { env: this.#env, cwd: '/', stdio: 'ignore' });
        child.once('error', () => {
          resolve(false);
        });
        child.once('exit', (code) => {
          resolve(code === 0);
        });
      });
      this.#known.set(line, known);
    }
    return known;
  }
}
