/** A finished run whose result answers the same question again, as long as nobody touched what it left here. */
import type { Edits, SharedRoot } from '../sync/shared-root.ts';
import type { Shared } from './twins.ts';

type Left = {
  readonly root: SharedRoot;
  /** Both sides had this when it was done. */
  readonly epoch: bigint | undefined;
  readonly edits: Edits;
  readonly end: () => void;
};

export class Reusable {
  readonly shared: Shared;
  readonly #left: readonly Left[];

  /** To be made when all the run changed is in place and agreed on. */
  constructor(shared: Shared, roots: readonly SharedRoot[]) {
    this.shared = shared;
    this.#left = roots.map((root) => ({ root, epoch: root.epoch, ...root.watch() }));
  }

  /** Whether the trees here are as it left them; one in which a job is at work is not. */
  async holds(signal: AbortSignal): Promise<boolean> {
    for (const { root, epoch, edits } of this.#left) {
      if (root.lock.busy) return false;
      const held = await root.lock.acquire(true, signal).catch(() => undefined);
      try {
        if (held === undefined || epoch === undefined || root.epoch !== epoch) return false;
        const seen = await root.look();
        if (!seen.ok || edits.paths.size > 0) return false;
      } finally {
        held?.release();
      }
    }
    return !signal.aborted;
  }

  drop(): void {
    for (const { end } of this.#left) end();
  }
}
