/** What stands in place of the caller's shims on the worker: links to the tools that their names mean there. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { RawPath } from '../tree/manifest.ts';

/** One folder for each set of links: jobs see it read-only, so that one serves them all. */
export class ShimFolders {
  readonly #folder: string;
  readonly #made = new Set<string>();

  /** `folder`: empty, and the agent's alone. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The folder with these links: targets by name. */
  of(targets: ReadonlyMap<string, RawPath>): string {
    const key = createHash('sha256')
      .update(JSON.stringify([...targets]))
      .digest('hex');
    const path = join(this.#folder, key.slice(0, 32));
    if (this.#made.has(path) && existsSync(path)) return path;
    // What an attempt left that failed in the middle.
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true, mode: 0o700 });
    for (const [name, target] of targets)
      symlinkSync(Buffer.from(target, 'latin1'), Buffer.from(`${path}/${name}`, 'latin1'));
    this.#made.add(path);
    return path;
  }
}
