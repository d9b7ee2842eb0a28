/** One root of one workstation on this worker: its tree, what was agreed about it, and who uses it. */
import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FsHelper } from '../tree/fs-helper.ts';
import type { Hasher } from '../tree/hash.ts';
import type { Change, Manifest, RawPath } from '../tree/manifest.ts';
import { type Snapshot, Tree } from '../tree/tree.ts';
import {
  appendChanges,
  newMeta,
  readManifest,
  readMeta,
  type RootMeta,
  writeManifest,
  writeMeta,
} from './root-files.ts';
import { removeSpecials } from './specials.ts';
import { Turns } from './turns.ts';

export type RootTools = { readonly helper: FsHelper; readonly hasher: Hasher };

/** A manifest file is written anew when what was appended outgrows it by this factor. */
const MOST_APPENDED = 2;

/** Epochs that are remembered for jobs that were prepared at one of them. */
const MOST_EPOCHS = 1000;

/** `DEV INO` of a folder that is one and no symlink. */
export function folderIdentity(path: Buffer): string | undefined {
  const info = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return info?.isDirectory() === true ? `${info.dev} ${info.ino}` : undefined;
}

export class Root {
  /** Unique on this worker: WORKSTATION/KEY. */
  readonly name: string;
  readonly key: string;
  readonly folder: string;
  readonly turns = new Turns();
  readonly #tools: RootTools;
  #meta: RootMeta;
  #agreed: Manifest | undefined;
  #tree: Tree | undefined;
  #wholeBytes = 0;
  #short: Promise<unknown> = Promise.resolve();
  #epoch: bigint;
  #doubts = 0;
  /** Epochs that the tree has been at since somebody last doubted it. */
  readonly #line = new Set<bigint>();

  constructor(
    of: { workstation: string; key: string; folder: string; meta: RootMeta },
    tools: RootTools,
  ) {
    this.name = `${of.workstation}/${of.key}`;
    this.key = of.key;
    this.folder = of.folder;
    this.#meta = of.meta;
    this.#wholeBytes = of.meta.manifestBytes;
    this.#tools = tools;
    this.#epoch = BigInt(of.meta.epoch);
    this.#line.add(this.#epoch);
  }

  get path(): RawPath {
    return this.#meta.path;
  }

  get policy(): number {
    return this.#meta.policy;
  }

  /** 0: nobody vouches for the tree. */
  get epoch(): bigint {
    return this.#epoch;
  }

  /** Whether the tree is what it was at `epoch`, apart from what was synced and settled since. */
  descendsFrom(epoch: bigint): boolean {
    return this.#epoch !== 0n && epoch !== 0n && this.#line.has(epoch);
  }

  /** Counts how often the tree was left in an unknown state. */
  get doubts(): number {
    return this.#doubts;
  }

  get caches(): readonly RawPath[] {
    return this.#meta.caches;
  }

  get bytes(): number {
    return this.#meta.bytes;
  }

  get lastUse(): number {
    return this.#meta.lastUse;
  }

  /** True when the tree is a real folder at the caller's own path. */
  get standsAtPath(): boolean {
    return this.#meta.standsAt !== undefined;
  }

  /** Where the tree is on this machine. */
  get treePath(): Buffer {
    const { standsAt } = this.#meta;
    return standsAt === undefined
      ? Buffer.from(join(this.folder, 't'))
      : Buffer.from(standsAt.path, 'latin1');
  }

  /** What the tree holds as of its epoch. */
  get agreed(): Manifest {
    this.#agreed ??= readManifest(this.folder, this.#meta.manifestBytes);
    if (this.#agreed === undefined) {
      this.#agreed = new Map();
      this.distrust();
      this.#save({ manifestBytes: 0 });
    }
    return this.#agreed;
  }

  /** Without what is in the caches. Makes the tree's folder if need be. */
  get tree(): Tree {
    if (this.#tree !== undefined) return this.#tree;
    if (!this.standsAtPath) mkdirSync(join(this.folder, 't'), { recursive: true, mode: 0o700 });
    this.#tree = Tree.open({
      helper: this.#tools.helper,
      hasher: this.#tools.hasher,
      root: this.treePath,
      cacheFile: join(this.folder, 'stats'),
      skip: this.#meta.caches,
      own: true,
    });
    return this.#tree;
  }

  /** Removes what no manifest knows of, and a scan found (Snapshot.refused). */
  clear(refused: Snapshot['refused']): Promise<void> {
    return removeSpecials(this.#tools.helper, this.treePath, refused);
  }

  /** In the tree's turn, before a tool comes to it: folders that were opened for a look are as they were left again. */
  async closeFolders(): Promise<void> {
    await this.#tree?.closeFolders();
  }

  /** Makes anew what somebody else may have removed of it; true where they did. Not for a tree at its own path. */
  async restore(): Promise<boolean> {
    if (this.standsAtPath || folderIdentity(this.treePath) !== undefined) return false;
    // What is made anew is read anew.
    await this.unload();
    rmSync(this.treePath, { force: true });
    mkdirSync(this.treePath, { recursive: true, mode: 0o700 });
    return true;
  }

  /** Runs `work` when what was asked before is done: syncs, scans and settlements of one tree never overlap. */
  inOrder<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#short.then(work, work);
    this.#short = turn.catch(() => undefined);
    return turn;
  }

  /** From now on nobody vouches for the tree, also after a crash. */
  distrust(): void {
    this.#doubts += 1;
    this.#line.clear();
    this.placing();
  }

  /** Until the next `agree` the tree is at no epoch, also after a crash. */
  placing(): void {
    this.#epoch = 0n;
    if (this.#meta.epoch !== '0') this.#save({ epoch: '0' });
  }

  /**
   * The tree now holds `manifest`, which differs from the agreed one by `changes`. It held it when `doubts` was
   * read; had anybody left it in an unknown state since, it stays distrusted.
   */
  agree(
    epoch: bigint,
    now: { manifest: Manifest; changes: readonly Change[]; doubts: number },
  ): void {
    const { manifest, changes } = now;
    const known = this.#meta.manifestBytes;
    const append = known > 0 && known < MOST_APPENDED * this.#wholeBytes;
    const manifestBytes = append
      ? appendChanges(this.folder, known, changes)
      : writeManifest(this.folder, manifest);
    if (!append) this.#wholeBytes = manifestBytes;
    this.#agreed = manifest;
    let bytes = 0;
    for (const entry of manifest.values()) if (entry.kind === 'file') bytes += entry.size;
    this.#epoch = now.doubts === this.#doubts ? epoch : 0n;
    if (this.#epoch !== 0n) this.#line.add(this.#epoch);
    for (const old of this.#line) if (this.#line.size > MOST_EPOCHS) this.#line.delete(old);
    this.#save({ epoch: this.#epoch.toString(), manifestBytes, bytes, lastUse: Date.now() });
  }

  /** A whole sync: other than by appending, the old manifest counts for nothing. */
  replace(epoch: bigint, manifest: Manifest, doubts: number): void {
    this.#save({ epoch: '0', manifestBytes: 0 });
    this.#line.clear();
    this.agree(epoch, { manifest, changes: [], doubts });
  }

  /** Remembers folders that stay here. Gives those known now. */
  addCaches(folders: readonly RawPath[]): void {
    const caches = [...new Set([...this.#meta.caches, ...folders])].sort();
    if (caches.length !== this.#meta.caches.length) this.#save({ caches });
  }

  dropCaches(folders: readonly RawPath[]): void {
    if (folders.length === 0) return;
    this.#save({ caches: this.#meta.caches.filter((folder) => !folders.includes(folder)) });
  }

  /** The tree is the real folder at the caller's path from now on; it starts empty. */
  standAt(path: Buffer): void {
    const identity = folderIdentity(path);
    if (identity === undefined) throw new Error('not a folder');
    void this.#tree?.close();
    this.#tree = undefined;
    this.#save({ standsAt: { path: path.toString('latin1'), identity } });
    this.distrust();
  }

  /** Whether the real folder is still the one we made. */
  get standsWhole(): boolean {
    const { standsAt } = this.#meta;
    if (standsAt === undefined) return true;
    return folderIdentity(Buffer.from(standsAt.path, 'latin1')) === standsAt.identity;
  }

  /** Frees memory; all of it is read again when needed. Settles when nothing is written for it any more. */
  async unload(): Promise<void> {
    const tree = this.#tree;
    this.#agreed = undefined;
    this.#tree = undefined;
    // By the next one nobody knows any more that they were opened.
    await tree?.closeFolders();
    await tree?.close();
  }

  #save(change: Partial<RootMeta>): void {
    this.#meta = { ...this.#meta, ...change };
    if (change.caches !== undefined) this.#tree?.leaveOut(change.caches);
    writeMeta(this.folder, this.#meta);
  }
}

/** The root that `folder` holds, or a new one. */
export function openRoot(
  of: { workstation: string; key: string; folder: string; path: RawPath; policy: number },
  tools: RootTools,
): Root {
  const known = readMeta(of.folder);
  const same = known?.path === of.path && known.policy === of.policy;
  const meta =
    known === undefined
      ? newMeta(of.path, of.policy)
      : same
        ? known
        : { ...known, path: of.path, policy: of.policy, epoch: '0' };
  return new Root({ ...of, meta }, tools);
}
