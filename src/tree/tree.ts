/** A root on this machine: its manifest as it stands now, found by a scan that hashes only what changed. */
import { fail, ok, type Result } from '../base/result.ts';
import { ClosedFolders } from './closed-folders.ts';
import { orderChanges, sameEntry } from './diff.ts';
import { errnoText, type FsHelper } from './fs-helper.ts';
import type { Hasher, HashRequest } from './hash.ts';
import type { Range } from './holes.ts';
import { Listing } from './listing.ts';
import type { Change, Entry, Manifest, RawPath } from './manifest.ts';
import { absolute, MAX_PATH, shown } from './paths.ts';
import type { Identity, SpecialKind } from './scan.ts';
import { type Known, readStatCache, writeStatCache } from './stat-cache.ts';

export type TreeOptions = {
  readonly helper: FsHelper;
  readonly hasher: Hasher;
  /** Absolute path of the root. */
  readonly root: Buffer;
  /** Paths that are neither listed nor entered. */
  readonly skip?: readonly RawPath[];
  /** When not empty, only these, what is below them, and their parents make up the tree. */
  readonly only?: readonly RawPath[];
  /** Where the hashes survive a restart. */
  readonly cacheFile?: string;
  /** It is ours alone: folders that their owner may not read are opened for as long as we are at it (closeFolders). */
  readonly own?: boolean;
};

export type Snapshot = {
  /** Never changed afterwards: a later refresh makes another one. Holds the root itself as ''. */
  readonly manifest: Manifest;
  /** Since the previous successful refresh, in the order of orderChanges. */
  readonly changes: Change[];
  /** CLOCK_REALTIME before the scan that found this state, ns. */
  readonly scanTime: bigint;
  /** The newest mtime in the tree, ns. */
  readonly newest: bigint;
  /** Sizes of all files, each hard-link group once. */
  readonly bytes: number;
  /** What cannot be carried and was left out. */
  readonly refused: readonly { readonly path: RawPath; readonly what: SpecialKind }[];
  /** Temporaries of ours that a killed process left in the tree. */
  readonly leftovers: readonly RawPath[];
  /** Left out because they changed while they were read (RefreshOptions.patient). */
  readonly restless: readonly RawPath[];
};

export type RefreshOptions = {
  /** A file that changes while it is read is left out; the next refresh tells of it. */
  readonly patient?: boolean;
  /** Nobody writes in the tree now: nothing is looked at if nothing happened in it since the last refresh of this kind. */
  readonly quiet?: boolean;
};

/** Scans until nothing changes between the stat of a file and its reading. */
const ROUNDS = 10;
/** From this round on a file that only grows is taken as it was when scanned. */
const GROWING_FROM = 2;
/** Files below this, bytes, are read without a question after their holes. */
const WORTH_MAPPING = 16 << 20;
const SAVE_AFTER_MS = 2_000;
/** Folders that are closed one in the other; each takes a scan. */
const MOST_CLOSED = 200;

type Totals = { readonly newest: bigint; readonly bytes: number };

function totalsOf(manifest: Manifest): Totals {
  let newest = 0n;
  let bytes = 0;
  for (const entry of manifest.values()) {
    if (entry.kind === 'hardlink') continue;
    if (entry.mtime > newest) newest = entry.mtime;
    if (entry.kind === 'file') bytes += entry.size;
  }
  return { newest, bytes };
}

/** Refreshes run one after the other. */
export class Tree {
  readonly root: Buffer;
  readonly #options: TreeOptions;
  readonly #number: number;
  readonly #closed: ClosedFolders;
  readonly #listing = new Listing((path, identity) => this.#closed.modeOf(path, identity));
  #recalled: Map<RawPath, Known>;
  #manifest: Manifest = new Map();
  #totals: Totals = { newest: 0n, bytes: 0 };
  #fresh = true;
  #running: Promise<unknown> = Promise.resolve();
  #restless: RawPath[] = [];
  #unsaved = false;
  #skip: readonly RawPath[];
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: TreeOptions) {
    this.root = options.root;
    this.#options = options;
    this.#skip = options.skip ?? [];
    this.#number = options.helper.newTree();
    this.#closed = new ClosedFolders(options.helper, options.root);
    this.#recalled =
      options.cacheFile === undefined
        ? new Map<RawPath, Known>()
        : readStatCache(options.cacheFile);
  }

  static open(options: TreeOptions): Tree {
    return new Tree(options);
  }

  /**
   * The tree as it stands at some moment after the call. Fails, naming the path, on what cannot be read or what
   * changes faster than it is read; the next refresh then starts from there.
   */
  refresh(options: RefreshOptions = {}): Promise<Result<Snapshot>> {
    const next = this.#running.then(() => this.#refresh(options));
    this.#running = next;
    return next;
  }

  /** The next refresh reads every file anew, whatever its times say. */
  forget(): void {
    this.#running = this.#running.then(() => {
      this.#fresh = true;
      this.#recalled = new Map();
      this.#listing.forgetHashes();
    });
  }

  /** From the next refresh on, these paths are neither listed nor entered, and no others are left out. */
  leaveOut(paths: readonly RawPath[]): void {
    this.#skip = paths;
  }

  /** Identity at the last scan (or adoption). */
  stat(path: RawPath): Identity | undefined {
    return this.#listing.identity(path);
  }

  /** Where a file of `size` bytes holds data now; undefined where that is not worth asking, or not known. */
  async dataOf(path: RawPath, size: number): Promise<readonly Range[] | undefined> {
    if (size < WORTH_MAPPING) return undefined;
    return this.#options.helper.extents(absolute(this.root, path));
  }

  /**
   * After placing: the file at `path` is `entry`, known without hashing. The next refresh tells it as a change,
   * and hashes it only if it is not that file any more.
   */
  adopt(path: RawPath, entry: Entry, identity: Identity): void {
    this.#listing.adopt(path, entry, identity);
    this.#saveLater();
  }

  /** After placing: whatever was at `path`, a folder that was opened or not, what is there now is as it is. */
  replaced(path: RawPath): void {
    this.#closed.replaced(path);
  }

  /** Folders that were opened get their modes again; the next refresh opens them anew. Not beside a refresh. */
  closeFolders(): Promise<void> {
    return this.#closed.close();
  }

  /** Writes the cache file if it is out of date. */
  async save(): Promise<Result<void>> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const file = this.#options.cacheFile;
    if (file === undefined || !this.#unsaved) return ok(undefined);
    this.#unsaved = false;
    return writeStatCache(file, new Map(this.#listing.known()));
  }

  /** Saves, and frees what the helper remembers; not to be used afterwards. */
  async close(): Promise<void> {
    await this.#running;
    await this.save();
    this.#options.helper.forget(this.#number);
  }

  #saveLater(): void {
    this.#unsaved = true;
    if (this.#options.cacheFile === undefined) return;
    this.#timer ??= setTimeout(() => void this.save(), SAVE_AFTER_MS).unref();
  }

  async #refresh({ patient = false, quiet = false }: RefreshOptions): Promise<Result<Snapshot>> {
    let restless: RawPath = '';
    this.#restless = [];
    for (let round = 0; round < ROUNDS; round++) {
      // Once something moved it is not quiet.
      const scanned = await this.#scan(quiet && round === 0);
      if (!scanned.ok) return scanned;
      const changed = await this.#hash(round >= GROWING_FROM, patient);
      if (!changed.ok) return changed;
      if (changed.value === undefined) return this.#snapshot(scanned.value);
      restless = changed.value;
    }
    return fail(`${shown(restless)} keeps changing while it is read`);
  }

  /** One scan taken over, and where the tree is ours as many more as open all of it; the value is when it began. */
  async #scan(quiet: boolean): Promise<Result<bigint>> {
    let scanned = await this.#scanOnce(quiet);
    for (let closed = 0; !scanned.ok && this.#options.own === true; closed++) {
      const opened =
        closed < MOST_CLOSED && (await this.#closed.open(this.#listing.unreadable.keys()));
      if (!opened) break;
      scanned = await this.#scanOnce(false);
    }
    return scanned;
  }

  async #scanOnce(quiet: boolean): Promise<Result<bigint>> {
    const { helper, only = [] } = this.#options;
    this.#listing.scanning();
    const delta = await helper.scan(this.#number, this.root, {
      fresh: this.#fresh,
      skip: this.#skip,
      only,
      quiet,
    });
    if (!delta.ok) return delta;
    this.#fresh = false;
    this.#listing.take(delta.value.records, delta.value.whole, (path) => this.#recalled.get(path));
    if (delta.value.whole) this.#recalled = new Map();
    for (const [path, errno] of this.#listing.unreadable)
      return fail(`${shown(path) || 'the root'} cannot be read: ${errnoText(errno)}`);
    return ok(delta.value.startedAt);
  }

  /** Hashes what has to be; the value is a file that changed meanwhile, if one did. */
  async #hash(growing: boolean, patient: boolean): Promise<Result<RawPath | undefined>> {
    let changed: RawPath | undefined;
    for (let wanted = this.#listing.wanted(); wanted.length > 0; wanted = this.#listing.wanted()) {
      const outcomes = await this.#options.hasher.hashFiles(this.root, await this.#mapped(wanted), {
        growing,
      });
      for (const [i, { path, identity }] of wanted.entries()) {
        const outcome = outcomes[i] ?? { outcome: 'changed' };
        switch (outcome.outcome) {
          case 'hashed':
            this.#listing.hashed(path, identity, outcome.hash);
            break;
          case 'gone':
            this.#listing.vanished(path);
            break;
          case 'changed':
            if (patient) {
              this.#restless.push(path);
              this.#listing.vanished(path);
            } else changed = path;
            break;
          case 'unreadable':
            return fail(`${shown(path)} cannot be read: ${outcome.code}`);
        }
      }
      this.#saveLater();
      if (changed !== undefined) break;
    }
    return ok(changed);
  }

  /** With what is known of their holes. */
  #mapped(wanted: readonly HashRequest[]): Promise<HashRequest[]> {
    return Promise.all(
      wanted.map(async (each) => {
        const data = await this.dataOf(each.path, each.identity.size);
        return data === undefined ? each : { ...each, data };
      }),
    );
  }

  #snapshot(scanTime: bigint): Result<Snapshot> {
    const changes: Change[] = [];
    const before = this.#manifest;
    for (const path of this.#listing.dirty) {
      if (path.length > MAX_PATH)
        return fail(`${shown(path.slice(0, 80))}… is longer than ${MAX_PATH} bytes`);
      const entry = this.#listing.entry(path);
      const old = before.get(path);
      if (entry === undefined) {
        if (old !== undefined) changes.push({ op: 'gone', path });
      } else if (!sameEntry(old, entry) || this.#linkMoved(entry)) {
        changes.push({ op: 'put', path, entry });
      }
    }
    this.#listing.settle();
    if (changes.length > 0) this.#replace(orderChanges(changes));
    const refused = Array.from(this.#listing.specials, ([path, what]) => ({ path, what }));
    const leftovers = [...this.#listing.leftovers];
    return ok({
      manifest: this.#manifest,
      changes,
      scanTime,
      ...this.#totals,
      refused,
      leftovers,
      restless: this.#restless,
    });
  }

  #linkMoved(entry: Entry): boolean {
    if (entry.kind !== 'hardlink') return false;
    return !sameEntry(this.#manifest.get(entry.to), this.#listing.entry(entry.to));
  }

  #replace(changes: readonly Change[]): void {
    const manifest = new Map(this.#manifest);
    for (const change of changes) {
      if (change.op === 'gone') manifest.delete(change.path);
      else manifest.set(change.path, change.entry);
    }
    this.#manifest = manifest;
    this.#totals = totalsOf(manifest);
  }
}
