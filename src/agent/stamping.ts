/** Sets the times of what a run made, on disk and in the manifest, by the one rule of src/tree/stamps.ts. */
import { readFile } from 'node:fs/promises';
import { fail, ok, type Result } from '../base/result.ts';
import type { Operation } from '../tree/apply.ts';
import type { FsHelper } from '../tree/fs-helper.ts';
import { hashBytes } from '../tree/hash.ts';
import type { Change, Entry, Manifest, RawPath } from '../tree/manifest.ts';
import type { Identity } from '../tree/scan.ts';
import { ninjaMap } from '../tree/ninja.ts';
import { absolute, parentOf } from '../tree/paths.ts';
import type { Tree } from '../tree/tree.ts';
import { stamp, type StampRule } from '../tree/stamps.ts';

type File = Extract<Entry, { kind: 'file' }>;

export type Stamping = {
  readonly helper: FsHelper;
  readonly tree: Tree;
  readonly rule: StampRule;
};

/** A ninja file with its inner times mapped, or undefined when nothing in it changes. */
async function ninjaContent(
  path: RawPath,
  entry: File,
  needs: Stamping,
): Promise<Buffer | undefined> {
  const map = ninjaMap(path, entry.size);
  if (map === undefined) return undefined;
  const before = await readFile(absolute(needs.tree.root, path));
  const after = map(before, needs.rule);
  return after.equals(before) ? undefined : after;
}

/** The work of one stamping, gathered before anything is touched. */
class Work {
  readonly operations: Operation[] = [];
  readonly stamped: Change[] = [];
  readonly #folders = new Map<RawPath, Extract<Entry, { kind: 'dir' }>>();
  readonly #needs: Stamping;
  readonly #manifest: Manifest;
  readonly #changed: ReadonlySet<RawPath>;

  constructor(changes: readonly Change[], manifest: Manifest, needs: Stamping) {
    this.#needs = needs;
    this.#manifest = manifest;
    this.#changed = new Set(changes.map((change) => change.path));
  }

  async add(path: RawPath, entry: Entry): Promise<void> {
    if (entry.kind === 'hardlink') return;
    const mtime = stamp(entry.mtime, this.#needs.rule);
    if (entry.kind === 'dir') {
      if (mtime === entry.mtime) return;
      this.#folders.set(path, { ...entry, mtime });
      return;
    }
    if (entry.kind === 'symlink') {
      if (mtime === entry.mtime) return;
      this.operations.push({ op: 'symlink', path, guard: 'none', mtime, target: entry.target });
      this.#put(path, { ...entry, mtime });
      this.#touchParent(path);
      return;
    }
    const data = await ninjaContent(path, entry, this.#needs);
    if (data !== undefined) this.#rewrite(path, { ...entry, mtime }, data);
    else if (mtime !== entry.mtime) {
      this.operations.push({ op: 'meta', path, guard: 'none', mode: entry.mode, mtime });
      this.#put(path, { ...entry, mtime });
    }
  }

  /** Folders come last and deepest first: everything else moves their times. */
  finish(): void {
    const folders = [...this.#folders].sort(([a], [b]) => (a < b ? 1 : -1));
    for (const [path, entry] of folders) {
      this.operations.push({ op: 'dirMeta', path, mode: entry.mode, mtime: entry.mtime });
      this.#put(path, entry);
    }
  }

  #rewrite(path: RawPath, entry: File, data: Buffer): void {
    const { mode, mtime } = entry;
    const content = { from: 'inline', data } as const;
    this.operations.push({
      op: 'file',
      path,
      guard: 'none',
      mode,
      mtime,
      size: data.length,
      content,
    });
    this.#put(path, { ...entry, size: data.length, hash: hashBytes(data) });
    this.#touchParent(path);
  }

  /** The folder keeps the time it has (or gets) though an entry of it is replaced. */
  #touchParent(path: RawPath): void {
    const parent = parentOf(path);
    if (parent === undefined || this.#folders.has(parent)) return;
    const entry = this.#manifest.get(parent);
    if (entry?.kind !== 'dir') return;
    const mtime = this.#changed.has(parent) ? stamp(entry.mtime, this.#needs.rule) : entry.mtime;
    this.#folders.set(parent, { ...entry, mtime });
  }

  #put(path: RawPath, entry: Entry): void {
    this.stamped.push({ op: 'put', path, entry });
  }
}

/**
 * Stamps what `changes` put, in the tree at `root` whose state is `manifest`; gives the entries that are
 * different now.
 */
export async function stampTree(
  changes: readonly Change[],
  manifest: Manifest,
  needs: Stamping,
): Promise<Result<Change[]>> {
  const work = new Work(changes, manifest, needs);
  for (const change of changes) if (change.op === 'put') await work.add(change.path, change.entry);
  work.finish();
  if (work.operations.length === 0) return ok([]);
  const applied = await needs.helper.apply(needs.tree.root, work.operations);
  if (!applied.ok) return applied;
  const bad = applied.value.findIndex((result) => result.outcome !== 'done');
  if (bad >= 0) return fail(`the times of ${work.operations[bad]?.path ?? ''} cannot be set`);
  const identities = new Map<RawPath, Identity>();
  for (const [at, result] of applied.value.entries()) {
    const path = work.operations[at]?.path;
    if (path !== undefined && result.outcome === 'done' && result.identity !== undefined)
      identities.set(path, result.identity);
  }
  for (const change of work.stamped) {
    const identity = identities.get(change.path);
    if (change.op === 'put' && change.entry.kind === 'file' && identity !== undefined)
      needs.tree.adopt(change.path, change.entry, identity);
  }
  return ok(work.stamped);
}
