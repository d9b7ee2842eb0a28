/**
 * Looks at a root for the plan of a command: the command itself then need not look again, and the plan need not
 * stat each source. Every look at the root is counted, so that a later one can tell what changed since.
 */
import { randomBytes } from 'node:crypto';
import type { Change, Manifest, RawPath } from '../../src/tree/manifest.ts';
import type { Snapshot } from '../../src/tree/tree.ts';

/** ms for which a command takes what its plan's look saw for what stands here when it starts. */
const FRESH = 250;
/** Paths of which the last change is known; beyond, everybody is told everything again. */
const MOST_CHANGED = 200_000;

export type Early = {
  readonly snapshot: Snapshot;
  /** performance.now() when it began, and what it took; ms. */
  readonly begun: number;
  readonly took: number;
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
  /** The number of the look that told of it last. */
  readonly #changed = new Map<RawPath, number>();
  #last: Early | undefined;

  /** Somebody looked, for whatever: what was seen before it is old. */
  looked(changes: readonly Change[]): void {
    this.#last = undefined;
    this.#count += 1;
    if (this.#changed.size + changes.length > MOST_CHANGED) {
      this.#changed.clear();
      this.#id = randomBytes(6).toString('hex');
    }
    for (const { path } of changes) this.#changed.set(path, this.#count);
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
    const after = Number(count);
    const paths = whole ? manifest.keys() : this.#changed.keys();
    for (const path of paths) {
      if ((!whole && (this.#changed.get(path) ?? 0) <= after) || !wanted(path)) continue;
      const kind = manifest.get(path)?.kind;
      if (kind === 'file' || kind === 'hardlink') told.put.push(path);
      else if (kind === 'symlink') told.links.push(path);
      else told.gone.push(path);
    }
    return told;
  }
}
