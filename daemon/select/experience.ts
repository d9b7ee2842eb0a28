/** Remembers how long commands took, by project and kind, here and there. Bounded; no I/O. */
import type { Experience } from './worth.ts';

/** Runs kept of each sort. */
const KEPT = 7;
/** Projects and kinds kept; the least recently touched goes first. */
const MOST = 2000;

type Entry = {
  readonly local: number[];
  readonly run: number[];
  readonly way: number[];
  keptHere: number;
  worker: string | undefined;
};

function push(values: number[], value: number): void {
  values.push(value);
  if (values.length > KEPT) values.shift();
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

export class ExperienceBook {
  readonly #entries = new Map<string, Entry>();

  /** What is known of `kind` (a CommandKind) in `project`. */
  of(project: string, kind: string): Experience {
    const entry = this.#entries.get(`${project}\0${kind}`);
    return {
      localMs: median(entry?.local ?? []),
      runMs: median(entry?.run ?? []),
      wayMs: median(entry?.way ?? []),
      remoteRuns: entry?.run.length ?? 0,
      keptHere: entry?.keptHere ?? 0,
    };
  }

  ranHere(project: string, kind: string, ms: number): void {
    push(this.#touch(project, kind).local, ms);
  }

  keptHere(project: string, kind: string): void {
    this.#touch(project, kind).keptHere++;
  }

  ranThere(project: string, kind: string, run: { runMs: number; wayMs: number }): void {
    const entry = this.#touch(project, kind);
    push(entry.run, run.runMs);
    push(entry.way, run.wayMs);
    entry.keptHere = 0;
  }

  /** `worker` holds the content of `project`. */
  builtOn(project: string, worker: string): void {
    this.#touch(project, '').worker = worker;
  }

  /** The worker that has `project` from last time. */
  homeOf(project: string): string | undefined {
    return this.#entries.get(`${project}\0`)?.worker;
  }

  #touch(project: string, kind: string): Entry {
    const key = `${project}\0${kind}`;
    const entry = this.#entries.get(key) ?? {
      local: [],
      run: [],
      way: [],
      keptHere: 0,
      worker: undefined,
    };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > MOST) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    return entry;
  }
}
