/** The sources of one project as a link's looks at its root tell them: nothing here is asked of the file system. */
import { posix } from 'node:path';
import type { SourceFacts } from './c-source.ts';

/** What changed since an earlier look, by paths below the root. */
export type Told = {
  /** Names this look, for the next one. */
  readonly look: string;
  /** There was no earlier look to go on from: what is not in `put` or `links` is not there. */
  readonly whole: boolean;
  readonly put: readonly string[];
  /** Symlinks: their targets change without a word. */
  readonly links: readonly string[];
  readonly gone: readonly string[];
  /** When the look began, ms since the epoch. */
  readonly since: number;
};

export class ToldProject {
  readonly #root: string;
  readonly #byName = new Map<string, string[]>();
  readonly #all = new Set<string>();
  readonly #links = new Set<string>();
  /** What was read of files as the looks have told them. */
  readonly #read = new Map<string, SourceFacts>();
  #look = '';
  #since = 0;
  #version = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** The last look that was taken in; '' for none. */
  get look(): string {
    return this.#look;
  }

  /** Begin of the last look, ms since the epoch. */
  get since(): number {
    return this.#since;
  }

  /** Another number whenever anything changed. */
  get version(): number {
    return this.#version;
  }

  /** Absolute paths by their last part. */
  get index(): ReadonlyMap<string, readonly string[]> {
    return this.#byName;
  }

  get hasLinks(): boolean {
    return this.#links.size > 0;
  }

  take(told: Told): void {
    if (told.whole) {
      for (const known of [this.#byName, this.#all, this.#links, this.#read]) known.clear();
      this.#version += 1;
    }
    if (told.put.length + told.links.length + told.gone.length > 0) this.#version += 1;
    for (const path of told.gone) this.#drop(`${this.#root}/${path}`);
    for (const path of told.put) this.#add(`${this.#root}/${path}`);
    for (const path of told.links) {
      this.#add(`${this.#root}/${path}`);
      this.#links.add(`${this.#root}/${path}`);
    }
    this.#look = told.look;
    this.#since = told.since;
  }

  /** What was read of a file and is still so. */
  factsOf(path: string): SourceFacts | undefined {
    return this.#read.get(path);
  }

  /** The file was read, and had not changed for long enough before the last look began. */
  wasRead(path: string, facts: SourceFacts): void {
    if (this.#all.has(path) && !this.#links.has(path)) this.#read.set(path, facts);
  }

  #add(path: string): void {
    this.#read.delete(path);
    this.#links.delete(path);
    if (this.#all.has(path)) return;
    this.#all.add(path);
    const name = posix.basename(path);
    const known = this.#byName.get(name);
    if (known === undefined) this.#byName.set(name, [path]);
    else known.push(path);
  }

  #drop(path: string): void {
    this.#read.delete(path);
    this.#links.delete(path);
    if (!this.#all.delete(path)) return;
    const name = posix.basename(path);
    const left = (this.#byName.get(name) ?? []).filter((each) => each !== path);
    if (left.length === 0) this.#byName.delete(name);
    else this.#byName.set(name, left);
  }
}
