/** The C and C++ files of a project, by name, looked at again only where a folder changed. */
import { readdirSync, statSync } from 'node:fs';
import { StatCache } from '../stat-cache.ts';
import { bytesOf, readRaw } from '../files.ts';
import { parseSource, type SourceFacts } from './c-source.ts';
import { isSkippedFolder, isSourceName } from './source-name.ts';
import type { ToldProject } from './told-project.ts';

/** What a file's stat said when it was read; as numbers, since thousands are compared for each command. */
type Known = {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly facts: SourceFacts;
};

const nothing: SourceFacts = { includes: [], defines: [], outward: [], angled: [] };

/** ms within which a change may leave the same times (caches.ts). */
const RACY_MS = 20;

type Listing = { readonly files: readonly string[]; readonly folders: readonly string[] };

/** Files looked at before giving up: a kernel tree has 80,000. */
const MOST_FILES = 150_000;
/** Files between two turns of the event loop. */
const TURN = 400;

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

function list(folder: string): Listing {
  const files: string[] = [];
  const folders: string[] = [];
  try {
    for (const entry of readdirSync(bytesOf(folder), { withFileTypes: true, encoding: 'buffer' })) {
      const name = entry.name.toString('latin1');
      if (entry.isDirectory()) {
        if (!isSkippedFolder(name)) folders.push(name);
      } else if (isSourceName(name)) files.push(name);
    }
  } catch {
    // A folder that cannot be read holds nothing a compiler could read either.
  }
  return { files, folders };
}

/** Whether a change at `time` (ms since the epoch) or later may have left these times. */
function isNear(
  times: { readonly mtimeMs: number; readonly ctimeMs: number },
  time: number,
): boolean {
  return Math.max(times.mtimeMs, times.ctimeMs) >= time - RACY_MS;
}

export class ProjectFiles {
  readonly #listings = new StatCache<Listing>(100_000);
  readonly #sources = new Map<string, Known>();

  /** Absolute paths of the sources below `root` by their last part; undefined when there are too many. */
  async byName(root: string): Promise<Map<string, string[]> | undefined> {
    const found = new Map<string, string[]>();
    const pending = [root];
    let count = 0;
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      const at = folder;
      const { files, folders } = this.#listings.getSync(at, (watch) => {
        watch(at);
        return list(at);
      });
      for (const name of files) {
        const known = found.get(name);
        if (known === undefined) found.set(name, [`${at}/${name}`]);
        else known.push(`${at}/${name}`);
      }
      for (const name of folders) pending.push(`${at}/${name}`);
      count += files.length + 1;
      if (count > MOST_FILES) return undefined;
      if (count % TURN < files.length + 1) await nextTurn();
    }
    return found;
  }

  /** What one file includes and defines; as far as `told` knows of no change, without a look at the file. */
  facts(path: string, told?: ToldProject): SourceFacts {
    const sure = told?.factsOf(path);
    if (sure !== undefined) return sure;
    const facts = this.#look(path);
    const kept = this.#sources.get(path);
    // Had it changed since the look began, the next look need not tell of it.
    if (told !== undefined && kept !== undefined && !isNear(kept, told.since))
      told.wasRead(path, facts);
    return facts;
  }

  #look(path: string): SourceFacts {
    let stat;
    try {
      stat = statSync(bytesOf(path), { throwIfNoEntry: false });
    } catch {
      stat = undefined;
    }
    if (stat === undefined) return nothing;
    const { ino, size, mtimeMs, ctimeMs } = stat;
    const known = this.#sources.get(path);
    const same = known?.mtimeMs === mtimeMs && known.ctimeMs === ctimeMs;
    if (same && known.size === size && known.ino === ino) return known.facts;
    const started = Date.now();
    const facts = parseSource(readRaw(path, 8 << 20) ?? '');
    if (this.#sources.size > MOST_FILES) this.#sources.clear();
    if (!isNear(stat, started)) this.#sources.set(path, { ino, size, mtimeMs, ctimeMs, facts });
    else this.#sources.delete(path);
    return facts;
  }

  /** Lets the event loop turn after every `TURN` calls. */
  async breathe(count: number): Promise<void> {
    if (count % TURN === 0) await nextTurn();
  }
}
