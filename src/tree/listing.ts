/** What a root's scans have told so far, and the manifest entries that follow from it. No I/O. */
import type { Entry, Hash, Manifest, RawPath } from './manifest.ts';
import { type Identity, sameIdentity, type ScanRecord, type SpecialKind } from './scan.ts';

export type Seen = {
  readonly kind: 'file' | 'dir' | 'symlink';
  readonly identity: Identity;
  /** Its content may change without a trace: what it hashes to holds for this refresh only. */
  readonly racy: boolean;
  readonly target: RawPath;
  /** Of a file, once it is known. */
  hash: Hash | undefined;
};

type Known = {
  readonly identity: Identity;
  readonly hash: Hash | undefined;
  readonly racy?: boolean;
};

/** A file by its inode, as one string. */
export const inodeOf = (identity: Pick<Identity, 'dev' | 'ino'>): string =>
  `${identity.dev.toString()}:${identity.ino.toString()}`;

/** The paths of a root as last seen. */
export class Listing {
  readonly #modeOf: (path: RawPath, identity: Identity) => number;
  readonly #seen = new Map<RawPath, Seen>();
  /** Names in this root of each inode that has several anywhere. */
  readonly #names = new Map<string, Set<RawPath>>();
  readonly #dirty = new Set<RawPath>();
  /** What was placed and no scan has told yet; it may be gone again before one does. */
  readonly #adopted = new Map<RawPath, Known>();
  #due: readonly RawPath[] = [];
  readonly specials = new Map<RawPath, SpecialKind>();
  readonly unreadable = new Map<RawPath, number>();
  readonly leftovers = new Set<RawPath>();

  /** `modeOf`: the mode of a folder in the manifest. */
  constructor(modeOf: (path: RawPath, identity: Identity) => number) {
    this.#modeOf = modeOf;
  }

  /**
   * A scan begins. What was adopted before differs from what the scan before saw, so this one tells of it; what it
   * does not tell of is gone again.
   */
  scanning(): void {
    this.#due = [...this.#adopted.keys()];
  }

  /** No hash is believed any more: every file a scan tells of is read again. */
  forgetHashes(): void {
    for (const seen of this.#seen.values()) seen.hash = undefined;
    for (const [path, known] of this.#adopted)
      this.#adopted.set(path, { ...known, hash: undefined });
  }

  /** As last seen or placed. */
  identity(path: RawPath): Identity | undefined {
    return this.#adopted.get(path)?.identity ?? this.#seen.get(path)?.identity;
  }

  /** Every file whose hash will still hold at the next refresh, as long as its identity does. */
  *known(): Generator<[RawPath, { identity: Identity; hash: Hash }]> {
    for (const kept of [this.#seen, this.#adopted])
      for (const [path, { identity, hash, racy }] of kept)
        if (hash !== undefined && racy !== true) yield [path, { identity, hash }];
  }

  /**
   * Takes over what a scan that began at `startedAt` told. `recall` knows hashes from before a restart.
   * `whole`: what is not told does not exist.
   */
  take(
    records: readonly ScanRecord[],
    whole: boolean,
    recall: (path: RawPath) => { identity: Identity; hash: Hash } | undefined,
  ): void {
    if (whole) this.#dropAllBut(new Set(records.map((record) => record.path)));
    for (const record of records) {
      const before = this.#adopted.get(record.path) ?? this.#seen.get(record.path);
      this.#adopted.delete(record.path);
      this.#drop(record.path);
      switch (record.kind) {
        case 'gone':
          break;
        case 'special':
          this.specials.set(record.path, record.what);
          break;
        case 'unreadable':
          this.unreadable.set(record.path, record.errno);
          break;
        case 'temp':
          this.leftovers.add(record.path);
          break;
        case 'file':
        case 'dir':
        case 'symlink':
          this.#add(record, before ?? recall(record.path));
          break;
      }
    }
    for (const path of this.#due) this.#adopted.delete(path);
    this.#due = [];
  }

  /** What is known without a scan: `path` is this file, with this content. */
  adopt(path: RawPath, entry: Entry, identity: Identity): void {
    const hash = entry.kind === 'file' ? entry.hash : undefined;
    this.#adopted.set(path, { identity, hash, racy: identity.mtime === identity.ctime });
  }

  /** The files whose hash is needed and not known; of a hard-link group only the first. */
  wanted(): { path: RawPath; identity: Identity }[] {
    const wanted = new Map<RawPath, Identity>();
    for (const path of this.#dirty) {
      const first = this.#fileOf(path);
      const seen = this.#seen.get(first);
      if (seen?.kind === 'file' && this.#hashOf(first, seen) === undefined)
        wanted.set(first, seen.identity);
    }
    return [...wanted].map(([path, identity]) => ({ path, identity }));
  }

  hashed(path: RawPath, identity: Identity, hash: Hash): void {
    const seen = this.#seen.get(path);
    if (seen !== undefined && sameIdentity(seen.identity, identity)) seen.hash = hash;
  }

  /** The file was gone when it was to be read. */
  vanished(path: RawPath): void {
    this.#drop(path);
  }

  /** The paths whose entries may differ from those at the last `settle`. */
  get dirty(): ReadonlySet<RawPath> {
    return this.#dirty;
  }

  /** The manifest is up to date. What is racy will be told again by the next scan, and then hashed again. */
  settle(): void {
    this.#dirty.clear();
  }

  /** The entry of a path; undefined when nothing that can be carried is there. */
  entry(path: RawPath): Entry | undefined {
    const seen = this.#seen.get(path);
    if (seen === undefined) return undefined;
    const { mode, mtime, size } = seen.identity;
    if (seen.kind === 'dir') return { kind: 'dir', mode: this.#modeOf(path, seen.identity), mtime };
    if (seen.kind === 'symlink') return { kind: 'symlink', target: seen.target, mtime };
    const first = this.#fileOf(path);
    if (first !== path) return { kind: 'hardlink', to: first };
    const hash = this.#hashOf(path, seen);
    if (hash === undefined) return undefined;
    return { kind: 'file', mode, size, mtime, hash };
  }

  /** All entries anew. */
  manifest(): Manifest {
    const manifest: Manifest = new Map();
    for (const path of this.#seen.keys()) {
      const entry = this.entry(path);
      if (entry !== undefined) manifest.set(path, entry);
    }
    return manifest;
  }

  #hashOf(path: RawPath, seen: Seen): Hash | undefined {
    if (seen.hash !== undefined || seen.identity.nlink < 2) return seen.hash;
    for (const name of this.#names.get(inodeOf(seen.identity)) ?? []) {
      const other = this.#seen.get(name);
      if (name === path || other?.hash === undefined) continue;
      if (sameIdentity(other.identity, seen.identity)) return other.hash;
    }
    return undefined;
  }

  /** The path that stands for the inode of `path`: the first of its names. */
  #fileOf(path: RawPath): RawPath {
    const seen = this.#seen.get(path);
    if (seen?.kind !== 'file' || seen.identity.nlink < 2) return path;
    let first = path;
    for (const name of this.#names.get(inodeOf(seen.identity)) ?? [])
      if (name < first) first = name;
    return first;
  }

  #dropAllBut(told: ReadonlySet<RawPath>): void {
    for (const path of [...this.#seen.keys()]) if (!told.has(path)) this.#drop(path);
    this.specials.clear();
    this.unreadable.clear();
    this.leftovers.clear();
  }

  #drop(path: RawPath): void {
    this.specials.delete(path);
    this.unreadable.delete(path);
    this.leftovers.delete(path);
    this.#dirty.add(path);
    const seen = this.#seen.get(path);
    if (seen === undefined) return;
    this.#seen.delete(path);
    if (seen.kind !== 'file' || seen.identity.nlink < 2) return;
    const inode = inodeOf(seen.identity);
    const names = this.#names.get(inode);
    names?.delete(path);
    if (names?.size === 0) this.#names.delete(inode);
    for (const name of names ?? []) this.#dirty.add(name);
  }

  #add(record: Extract<ScanRecord, { identity: Identity }>, before: Known | undefined): void {
    const { path, identity, racy } = record;
    const holds = before !== undefined && before.racy !== true;
    const hash = holds && sameIdentity(before.identity, identity) ? before.hash : undefined;
    // What was adopted is known to be safe from unseen changes; a scan soon after must not unlearn it.
    const stillRacy = racy && hash === undefined;
    const target = record.kind === 'symlink' ? record.target : '';
    this.#seen.set(path, { kind: record.kind, identity, racy: stillRacy, target, hash });
    this.#dirty.add(path);
    if (record.kind !== 'file' || identity.nlink < 2) return;
    const inode = inodeOf(identity);
    const names = this.#names.get(inode) ?? new Set();
    names.add(path);
    this.#names.set(inode, names);
    for (const name of names) this.#dirty.add(name);
  }
}
