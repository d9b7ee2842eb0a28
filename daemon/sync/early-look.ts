/**
 * Looks at a root for the plan of a command: the command itself then need not look again, and the plan need not
 * stat each source. Every look at the root is counted, so that a later one can tell what changed since.
 */
import { randomBytes } from 'node:crypto';
import type { Change, Manifest, RawPath } from '../../src/tree/manifest.ts';
import type { Snapshot } from '../../src/tree/tree.ts';

/** ms for which a command takes what its plan's look saw for what stands here when it starts. */
const FRESH = 250;
/** Changes that are remembered; beyond, everybody is told everything again. */
const MOST_CHANGED = 200_000;

export type Early = {
  readonly snapshot: Snapshot;
  /** performance.now() when it began, and what it took; ms. */
  readonly begun: number;
  readonly took: number;
  /** What came of the look at the worker's tree that went with it: whether it is what was agreed. */
  readonly there: Promise<boolean>;
};

export type News = {
  readonly look: string;
  readonly whole: boolean;
  readonly put: RawPath[];
  readonly links: RawPath[];
  readonly gone: RawPath[];
};

export class EarlyLooks {
  #id = randomBytes(6).toString('hex');
  #count = 0;
  /** What looks found changed, with their numbers, oldest first. */
  #changed: { readonly count: number; readonly paths: readonly RawPath[] }[] = [];
  #kept = 0;
  #last: Early | undefined;

  /** Somebody looked, for whatever: what was seen before it is old. */
  looked(changes: readonly Change[]): void {
    this.#last = undefined;
    this.#count += 1;
    if (changes.length === 0) return;
    // Nobody goes on from a look before the first one of a name.
    if (this.#count === 1) return;
    if (this.#kept + changes.length > MOST_CHANGED) {
      this.#changed = [];
      this.#kept = 0;
      this.#id = randomBytes(6).toString('hex');
      return;
    }
    this.#changed.push({ count: this.#count, paths: changes.map(({ path }) => path) });
    this.#kept += changes.length;
  }

  /** What was just seen may serve the next command. */
  keep(early: Early): void {
    this.#last = early;
  }

  /** The kept look, once, for a command whose plan rests on `look`; undefined when it has to look itself. */
  take(look: string): Early | undefined {
    const early = this.#last;
    this.#last = undefined;
    if (early === undefined || !look.startsWith(`${this.#id}:`)) return undefined;
    return performance.now() - early.begun - early.took < FRESH ? early : undefined;
  }

  /** What changed since the look `last`, of the paths that `wanted` admits. */
  newsSince(last: string, manifest: Manifest, wanted: (path: RawPath) => boolean): News {
    const [id, count = ''] = last.split(':');
    const whole = id !== this.#id;
    const news = { whole, put: [], links: [], gone: [] };
    const told: News = { look: `${this.#id}:${this.#count}`, ...news };
    for (const path of whole ? manifest.keys() : this.#since(Number(count))) {
      if (!wanted(path)) continue;
      const kind = manifest.get(path)?.kind;
      if (kind === 'file' || kind === 'hardlink') told.put.push(path);
      else if (kind === 'symlink') told.links.push(path);
      else told.gone.push(path);
    }
    return told;
  }

  /** What changed after the look of that number. */
  #since(count: number): Set<RawPath> {
    const paths = new Set<RawPath>();
    for (let at = this.#changed.length - 1; at >= 0; at--) {
      const round = this.#changed[at];
      if (round === undefined || round.count <= count) break;
      for (const path of round.paths) paths.add(path);
    }
    return paths;
  }
}
