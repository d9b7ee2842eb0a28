/** Remembers how long commands took, by project and kind, here and there. Bounded; no I/O. */
import type { Prospect } from './score.ts';
import type { Experience } from './worth.ts';

/** Runs kept of each sort. */
const KEPT = 7;
/** Projects and kinds kept; the least recently touched goes first. */
const MOST = 2000;
/** Bytes from which a transfer says something about the way's rate, and how much the newest counts. */
const TELLING_BYTES = 1e6;
const NEWEST = 0.3;

type Runs = { readonly run: number[]; readonly way: number[] };
type Entry = Runs & { readonly local: number[]; readonly on: Map<string, Runs>; keptHere: number };
type Home = {
  /** Bytes of the largest transfer of the project: what it takes where nothing is yet. */
  whole: number;
  /** Bytes that moved to other workers since the project was last on this one. */
  readonly missed: Map<string, number>;
};

/** A command that ended on a worker: ms of the run itself, and of all else; bytes sent, and ms it took to send them. */
export type RunThere = {
  readonly worker: string;
  readonly runMs: number;
  readonly wayMs: number;
  readonly sentBytes: number;
  readonly syncMs: number;
};

function push(values: number[], value: number): void {
  values.push(value);
  if (values.length > KEPT) values.shift();
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Half the distance between the quartiles, in parts of the median: how far a prediction may be off. */
function spread(values: readonly number[]): number | undefined {
  const middle = median(values);
  if (middle === undefined || middle === 0 || values.length < 3) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[Math.floor(values.length / 4)] ?? middle;
  const high = sorted[Math.floor((values.length * 3) / 4)] ?? middle;
  return (high - low) / 2 / middle;
}

function touched<V>(map: Map<string, V>, key: string, fresh: () => V): V {
  const value = map.get(key) ?? fresh();
  map.delete(key);
  map.set(key, value);
  if (map.size > MOST) {
    const oldest = map.keys().next();
    if (oldest.done !== true) map.delete(oldest.value);
  }
  return value;
}

export class ExperienceBook {
  readonly #entries = new Map<string, Entry>();
  readonly #homes = new Map<string, Home>();
  /** Bytes a ms, by worker. */
  readonly #rates = new Map<string, number>();

  /** What is known of `kind` (a CommandKind) in `project`. */
  of(project: string, kind: string): Experience {
    const entry = this.#entries.get(`${project}\0${kind}`);
    return {
      localMs: median(entry?.local ?? []),
      localSpread: spread(entry?.local ?? []),
      runMs: median(entry?.run ?? []),
      runSpread: spread(entry?.run ?? []),
      wayMs: median(entry?.way ?? []),
      remoteRuns: entry?.run.length ?? 0,
      keptHere: entry?.keptHere ?? 0,
    };
  }

  /** What is to be expected of `kind` in `project` on `worker`. */
  prospect(project: string, kind: string, worker: string): Prospect {
    const entry = this.#entries.get(`${project}\0${kind}`);
    const home = this.#homes.get(project);
    const missed = home?.missed.get(worker);
    const whole = home?.whole ?? 0;
    const missing = missed === undefined ? 1 : whole === 0 ? 0 : Math.min(1, missed / whole);
    const there = entry?.on.get(worker);
    const runMs = median(there?.run ?? []) ?? median(entry?.run ?? []);
    if (runMs === undefined) return { missing, thereMs: undefined };
    const rate = this.#rates.get(worker);
    const wayMs =
      missing === 1 && rate !== undefined
        ? whole / rate
        : (median(there?.way ?? []) ?? median(entry?.way ?? []) ?? 0);
    return { missing, thereMs: runMs + wayMs };
  }

  ranHere(project: string, kind: string, ms: number): void {
    push(this.#entry(project, kind).local, ms);
  }

  keptHere(project: string, kind: string): void {
    this.#entry(project, kind).keptHere++;
  }

  ranThere(project: string, kind: string, run: RunThere): void {
    const entry = this.#entry(project, kind);
    const there = touched(entry.on, run.worker, () => ({ run: [], way: [] }));
    for (const runs of [entry, there]) {
      push(runs.run, run.runMs);
      push(runs.way, run.wayMs);
    }
    entry.keptHere = 0;
    this.#moved(run);
    const home = touched(this.#homes, project, () => ({
      whole: 0,
      missed: new Map<string, number>(),
    }));
    home.whole = Math.max(home.whole, run.sentBytes);
    for (const [worker, missed] of home.missed) home.missed.set(worker, missed + run.sentBytes);
    home.missed.set(run.worker, 0);
  }

  #moved({ worker, sentBytes, syncMs }: RunThere): void {
    if (sentBytes < TELLING_BYTES || syncMs <= 0) return;
    const rate = sentBytes / syncMs;
    const before = this.#rates.get(worker);
    this.#rates.set(worker, before === undefined ? rate : before + NEWEST * (rate - before));
  }

  #entry(project: string, kind: string): Entry {
    return touched(this.#entries, `${project}\0${kind}`, () => ({
      local: [],
      run: [],
      way: [],
      on: new Map<string, Runs>(),
      keptHere: 0,
    }));
  }
}
