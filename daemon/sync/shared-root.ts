/** One root as this workstation shares it with one worker: the tree here, and what was agreed on with the agent. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import type { PlannedRoot } from '../../src/protocol/ipc.ts';
import { RootPolicy } from '../../src/protocol/agent.ts';
import { diff, sameEntry } from '../../src/tree/diff.ts';
import type { FsHelper } from '../../src/tree/fs-helper.ts';
import type { Hasher } from '../../src/tree/hash.ts';
import type { Change, Entry, Manifest, RawPath } from '../../src/tree/manifest.ts';
import { inodeOf } from '../../src/tree/listing.ts';
import { removeLeftovers } from '../../src/tree/place.ts';
import { Tree, type Snapshot } from '../../src/tree/tree.ts';
import { EarlyLooks } from './early-look.ts';
import {
  agree,
  cachesIn,
  changesOf,
  emptied,
  outdated,
  wholeOf,
  withhold,
  type Agreement,
} from './outgoing.ts';
import { GitObjects } from './git-objects.ts';
import { RootLock } from './root-lock.ts';
import { loadWithheld, saveWithheld } from './withheld-file.ts';

export type RootTools = {
  readonly helper: FsHelper;
  readonly hasher: Hasher;
  /** Where stat caches and withheld lists of this worker are kept. */
  readonly folder: string;
};

/** What a sync has to send: everything, or what differs from the agreed epoch. */
export type Outgoing = { readonly whole: boolean; readonly changes: Change[] };

/** What was edited here since a job took its snapshot, apart from what jobs returned. */
export type Edits = {
  /** Inodes of the files that the job's output goes to. */
  readonly own: readonly string[];
  readonly paths: ReadonlySet<RawPath>;
  /** The earliest mtime among them, ns, less the files of the job's own output; undefined when none has one. */
  readonly earliest: bigint | undefined;
};

type Watch = Edits & { readonly paths: Set<RawPath>; earliest: bigint | undefined };

/** The key of a root: stable for a path, and apart for each selection of a partial root. */
export function rootKey(root: PlannedRoot): string {
  const hash = createHash('sha256').update(root.path, 'latin1').update(root.policy);
  for (const part of [...root.only, '', ...root.skip]) hash.update('\0').update(part, 'latin1');
  if (root.git !== undefined) hash.update('\0git\0').update(root.git, 'latin1');
  return hash.digest('hex').slice(0, 32);
}

export class SharedRoot {
  readonly key: string;
  readonly plan: PlannedRoot;
  /** Who uses the root: one writer, or readers. */
  readonly lock = new RootLock();
  /** Who compares a shared root with the worker's. */
  readonly looking = new RootLock();
  /** A job waits to have the root alone, or has it, to bring the whole of it. */
  excluding = false;
  readonly tree: Tree;
  readonly #helper: FsHelper;
  /** Made here in the place of what is too large to be carried. */
  readonly #standIn: GitObjects | undefined;
  /** Looks made for plans. */
  readonly early = new EarlyLooks();
  readonly #withheldFile: string;
  readonly #agreement: Agreement;
  readonly #watches = new Set<Watch>();
  /** Files that running jobs write, of those that run beside others. */
  readonly #outputs = new Set<RawPath>();
  /** The epoch the agent is known to hold; undefined: send everything. */
  #epoch: bigint | undefined;
  /** Whether the agent has a tree of this root at all, whatever its epoch. */
  #heldThere = false;

  private constructor(
    key: string,
    plan: PlannedRoot,
    of: {
      readonly tree: Tree;
      readonly standIn: GitObjects | undefined;
      readonly tools: RootTools;
    },
  ) {
    this.key = key;
    this.plan = plan;
    this.tree = of.tree;
    this.#helper = of.tools.helper;
    this.#standIn = of.standIn;
    this.#withheldFile = join(of.tools.folder, `${key}.withheld`);
    this.#agreement = {
      agreed: new Map(),
      withheld: loadWithheld(this.#withheldFile),
      doubtful: new Set(),
    };
  }

  static open(plan: PlannedRoot, tools: RootTools): SharedRoot {
    const key = rootKey(plan);
    mkdirSync(tools.folder, { recursive: true, mode: 0o700 });
    const standIn =
      plan.git === undefined
        ? undefined
        : new GitObjects(plan.git, join(tools.folder, `${key}.git`));
    const tree = Tree.open({
      helper: tools.helper,
      hasher: tools.hasher,
      root: standIn === undefined ? Buffer.from(plan.path, 'latin1') : Buffer.from(standIn.objects),
      skip: plan.skip,
      only: plan.only,
      cacheFile: join(tools.folder, `${key}.stats`),
    });
    return new SharedRoot(key, plan, { tree, standIn, tools });
  }

  get path(): string {
    return this.plan.path;
  }

  get policy(): number {
    return RootPolicy[this.plan.policy];
  }

  get epoch(): bigint | undefined {
    return this.#epoch;
  }

  /** What both sides agreed to be at a path. */
  agreed(path: RawPath): Entry | undefined {
    return this.#agreement.agreed.get(path);
  }

  /** What stands at a path here that the worker does without. */
  withheld(path: RawPath): Entry | undefined {
    return this.#agreement.withheld.get(path);
  }

  /** What is to be removed with these changes of a job: the worker did without it, and its tool made the rest anew. */
  outdated(changes: readonly Change[], plan: PlannedRoot): Change[] {
    return outdated(this.#agreement, changes, plan.filled);
  }

  /** Looks at the tree as it stands now; what changed since the last look becomes doubtful. */
  async look(): Promise<Result<Snapshot>> {
    const standIn = await this.#standIn?.refresh();
    if (standIn?.ok === false) return standIn;
    const snapshot = await this.tree.refresh();
    if (!snapshot.ok) return snapshot;
    const { leftovers } = snapshot.value;
    if (leftovers.length > 0) await removeLeftovers(this.#helper, this.tree.root, leftovers);
    for (const change of snapshot.value.changes) {
      this.#agreement.doubtful.add(change.path);
      if (this.#watches.size > 0) this.#notice(change, snapshot.value.manifest);
    }
    this.early.looked(snapshot.value.changes);
    return snapshot;
  }

  /** From now on what looks find edited is gathered, until `end`; `own`: inodes of files that the job's output goes to. */
  watch(own: readonly string[] = []): { readonly edits: Edits; readonly end: () => void } {
    const watch: Watch = { own, paths: new Set(), earliest: undefined };
    this.#watches.add(watch);
    return { edits: watch, end: () => this.#watches.delete(watch) };
  }

  /** Whether the file at a path, as last seen, is one of these inodes. */
  isOneOf(inodes: readonly string[], path: RawPath): boolean {
    const identity = inodes.length === 0 ? undefined : this.tree.stat(path);
    return identity !== undefined && inodes.includes(inodeOf(identity));
  }

  /** Claims the files for a job that runs beside others; undefined when another has claimed one of them. */
  claim(outputs: readonly RawPath[]): (() => void) | undefined {
    if (outputs.some((path) => this.#outputs.has(path))) return undefined;
    for (const path of outputs) this.#outputs.add(path);
    return () => {
      for (const path of outputs) this.#outputs.delete(path);
    };
  }

  /** What stands here as both sides agreed was placed by a return, and is nobody's edit. */
  #notice(change: Change, now: Manifest): void {
    const { agreed } = this.#agreement;
    const entry = change.op === 'put' ? change.entry : undefined;
    const target = entry?.kind === 'hardlink' ? entry.to : change.path;
    const same =
      entry === undefined
        ? !agreed.has(change.path)
        : sameEntry(agreed.get(change.path), entry) &&
          sameEntry(agreed.get(target), now.get(target));
    if (same) return;
    const mtime = entry === undefined || entry.kind === 'hardlink' ? undefined : entry.mtime;
    for (const watch of this.#watches) {
      watch.paths.add(change.path);
      if (mtime === undefined || this.isOneOf(watch.own, change.path)) continue;
      if (watch.earliest === undefined || mtime < watch.earliest) watch.earliest = mtime;
    }
  }

  /** What to send so that the worker has the tree of `snapshot`, less the pure caches (relative folders). */
  outgoing(snapshot: Snapshot, caches: readonly RawPath[], plan: PlannedRoot): Outgoing {
    const agreement = this.#agreement;
    if (!this.#heldThere) {
      withhold(agreement, snapshot.manifest, plan);
      this.#saveWithheld();
    } else if (plan.cold.length === 0 && agreement.withheld.size > 0) {
      // A command that may read anything (make) needs what a cargo command did without.
      for (const path of agreement.withheld.keys()) agreement.doubtful.add(path);
      agreement.withheld.clear();
      this.#saveWithheld();
    }
    const cacheOf = cachesIn(snapshot.manifest, caches, plan);
    if (this.#epoch === undefined) {
      const wanted = wholeOf(agreement, snapshot.manifest, cacheOf);
      return { whole: true, changes: diff(new Map(), wanted) };
    }
    const { filled } = plan;
    const changes = [
      ...changesOf(agreement, snapshot.manifest, cacheOf),
      ...emptied(agreement, snapshot.manifest, { caches, filled }),
    ];
    return { whole: false, changes };
  }

  /** The agent confirmed `sent` as epoch `epoch`. */
  sent(sent: Outgoing, epoch: bigint): void {
    if (sent.whole) this.#agreement.agreed.clear();
    const held = this.#agreement.withheld.size;
    agree(this.#agreement, sent.changes);
    this.#agreement.doubtful.clear();
    this.#epoch = epoch;
    this.#heldThere = true;
    if (this.#agreement.withheld.size !== held) this.#saveWithheld();
  }

  /** A new connection: `there` is the epoch of the agent's tree of this root, undefined when it has none. */
  reconnected(there: bigint | undefined): void {
    this.#heldThere = there !== undefined;
    if (there !== this.#epoch) this.distrust();
  }

  /**
   * The return of a job was placed here: `changes` is what the worker has now, `unsettled` what stayed different here;
   * `epoch` is new unless nothing changed. A root that nobody vouches for stays so.
   */
  returned(
    changes: readonly Change[],
    unsettled: Iterable<RawPath>,
    epoch: bigint | undefined,
  ): void {
    const held = this.#agreement.withheld.size;
    agree(this.#agreement, changes);
    // The tree's last look was before they were placed: what is removed again, or put back as it was, is no change to it.
    for (const { path } of changes) this.#agreement.doubtful.add(path);
    for (const path of unsettled) this.#agreement.doubtful.add(path);
    if (epoch !== undefined && this.#epoch !== undefined) this.#epoch = epoch;
    if (this.#agreement.withheld.size !== held) this.#saveWithheld();
  }

  /** Nobody knows what the worker has: the next sync sends everything. */
  distrust(): void {
    this.#epoch = undefined;
  }

  /** The next epoch's number; the first of a process is random, so that no two processes mean different trees by one number. */
  nextEpoch(): bigint {
    return (this.#epoch ?? BigInt(randomBytes(6).readUIntBE(0, 6))) + 1n;
  }

  #saveWithheld(): void {
    saveWithheld(this.#withheldFile, this.#agreement.withheld);
  }
}

/** The roots of one worker, opened when first needed. */
export class RootBook {
  readonly #tools: RootTools;
  readonly #epochThere: (root: SharedRoot) => bigint | undefined;
  readonly #roots = new Map<string, SharedRoot>();

  /** `epochThere`: the epoch at which the agent said, when it connected, that it has this root. */
  constructor(tools: RootTools, epochThere: (root: SharedRoot) => bigint | undefined) {
    this.#tools = tools;
    this.#epochThere = epochThere;
  }

  /** The agent was connected anew. */
  reconnected(): void {
    for (const root of this.#roots.values()) root.reconnected(this.#epochThere(root));
  }

  get(plan: PlannedRoot): SharedRoot {
    const key = rootKey(plan);
    const known = this.#roots.get(key);
    if (known !== undefined) return known;
    const root = SharedRoot.open(plan, this.#tools);
    root.reconnected(this.#epochThere(root));
    this.#roots.set(key, root);
    return root;
  }

  /** Writes what was learned about the trees, so that a restart need not hash them again. */
  async save(): Promise<void> {
    for (const root of this.#roots.values()) await root.tree.save();
  }

  async close(): Promise<void> {
    await this.save();
    for (const root of this.#roots.values()) await root.tree.close();
  }
}
