/**
 * Brings what a job changed in one root back here: stamped by the rule for times, each file only over the one
 * the job started from, cargo's fingerprints last, under a redo journal.
 */
import { readFile } from 'node:fs/promises';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import { beneath, sameEntry } from '../../src/tree/diff.ts';
import { hashBytes } from '../../src/tree/hash.ts';
import type { FsHelper } from '../../src/tree/fs-helper.ts';
import type { Change, Entry, Hash, Manifest, RawPath } from '../../src/tree/manifest.ts';
import { ninjaMap } from '../../src/tree/ninja.ts';
import { checkChanges } from '../../src/tree/packed.ts';
import { absolute, parentOf, shown } from '../../src/tree/paths.ts';
import { placeChanges, type Placed } from '../../src/tree/place.ts';
import { stamp, type StampRule } from '../../src/tree/stamps.ts';
import type { Snapshot } from '../../src/tree/tree.ts';
import type { HeldRoot } from '../sync/prepare.ts';
import { COARSE_CLOCK, wasSeen, type Seen } from '../sync/seen.ts';
import type { Edits } from '../sync/shared-root.ts';
import type { Wanted } from './bring.ts';
import type { RedoJournal } from './redo.ts';
import type { Spool } from './spool.ts';
import { stageOf } from './stages.ts';

/** A cap stays this far below the earliest local change, ns (DESIGN, "Times"). */
const BEFORE_EDIT = 1000n;

/** What the agent said a job changed in one root. */
export type RootResult = {
  readonly changes: readonly Change[];
  /** The window of the run on the worker's clock, ns. */
  readonly from: bigint;
  readonly till: bigint;
};

export type TakeBackNeeds = {
  readonly helper: FsHelper;
  readonly spool: Spool;
  /** The worker's clock minus ours, ns. */
  readonly offset: bigint;
  /** Who counts on contents of the spool for this return. */
  readonly asker: object;
  /** How many files of the whole job a content is wanted for that is worth moving out of the spool; 0: it is not. */
  readonly usesOf: (hash: Hash) => number;
  /** A content left the spool for the file at `path`. */
  readonly moved: (hash: Hash, path: Buffer) => void;
  /** Sees to it that contents are in the spool. */
  readonly bring: (wanted: ReadonlyMap<Hash, Wanted>) => Promise<Result<undefined>>;
  readonly redo: RedoJournal;
  /** Goes into the name of what is kept beside a file that changed on both sides. */
  readonly job: string;
  /**
   * How the paths of the result stood before the run, where another process took the scan: what is not in it was not
   * there. It comes from the worker, which can do no harm by lying: it cannot name the hash and time of an edit it
   * has never seen.
   */
  readonly before: Manifest | undefined;
  /** The rule by which an earlier process began to place this result. */
  readonly rule: StampRule | undefined;
  /** From here on files may be in place, stamped by this rule: whoever begins anew must use it too. */
  readonly placing: (rule: StampRule) => void;
};

export type TakenBack = {
  readonly rule: StampRule;
  /** What the worker has after it stamped alike. */
  readonly changes: readonly Change[];
  /** Paths that stayed different here. */
  readonly unsettled: readonly RawPath[];
  /** Absolute paths that both sides changed. */
  readonly conflicts: readonly string[];
};

/** For a return of nothing. */
const noRule: StampRule = { from: 0n, till: -1n, offset: 0n, floor: 0n, cap: 0n };

function stamped(entry: Entry, rule: StampRule): Entry {
  return entry.kind === 'hardlink' ? entry : { ...entry, mtime: stamp(entry.mtime, rule) };
}

/** Whether a change is true here already: an attempt before this one made it so. */
function isMade(change: Change, now: Manifest): boolean {
  const here = now.get(change.path);
  return change.op === 'gone' ? here === undefined : sameEntry(here, change.entry);
}

/** Changes that an attempt before this one did not make; a second name of a file that it did not make is none of the new one. */
function unmade(changes: readonly Change[], now: Manifest): Change[] {
  const files = new Set(
    changes
      .filter((change) => change.op === 'put' && change.entry.kind === 'file')
      .filter((change) => !isMade(change, now))
      .map(({ path }) => path),
  );
  return changes.filter(
    (change) =>
      !isMade(change, now) ||
      (change.op === 'put' && change.entry.kind === 'hardlink' && files.has(change.entry.to)),
  );
}

/** Whether an attempt before this one may have left it so: the content is there, mode and time are not. */
function isHalfMade(change: Change, now: Manifest): boolean {
  const here = now.get(change.path);
  if (change.op === 'gone' || here === undefined) return false;
  if (change.entry.kind === 'file') return here.kind === 'file' && here.hash === change.entry.hash;
  // What was placed in a folder gave it our time.
  return change.entry.kind === 'dir' && here.kind === 'dir';
}

/** Whether an attempt before this one put this version beside the one here. */
function isKept(change: Change, suffix: string, now: Manifest): boolean {
  if (change.op === 'gone' || change.entry.kind !== 'file') return false;
  const beside = now.get(`${change.path}.rch-${suffix}`);
  return beside?.kind === 'file' && beside.hash === change.entry.hash;
}

/** What cargo knows of rustc, and writes before it takes its lock: a cargo that only waits here has written it too. */
const unlockedNote = /(^|\/)\.rustc_info\.json$/;

/**
 * Whether the worker's version is given up, with nothing kept beside, for what was made here meanwhile. A folder that
 * gained a file here has our time; the next sync tells the worker.
 */
function yields(change: Change): boolean {
  return change.op === 'put' && (change.entry.kind === 'dir' || unlockedNote.test(change.path));
}

/** One return of one root of one job. Where it fails, `run` may be called again: it goes on with what is left. */
export class TakeBack {
  readonly #held: HeldRoot;
  readonly #needs: TakeBackNeeds;

  /** What changed here since the scan before the run. */
  readonly #edits: Edits;
  /** The same, where it is found out here. */
  readonly #found: Edits & { readonly paths: Set<RawPath>; earliest: bigint | undefined };
  /** Fixed once placing has begun. */
  #rule: StampRule | undefined;

  constructor(held: HeldRoot, needs: TakeBackNeeds) {
    this.#held = held;
    this.#needs = needs;
    this.#rule = needs.rule;
    this.#found = { own: held.edits.own, paths: new Set(), earliest: undefined };
    this.#edits = needs.before === undefined ? held.edits : this.#found;
  }

  /** `placed` is called when the tree here is as `TakenBack` says, before anybody else looks at it. */
  async run(made: RootResult, placed: (back: TakenBack) => void): Promise<Result<TakenBack>> {
    const held = this.#held;
    const outdated = held.root.outdated(made.changes, held.plan);
    const result = { ...made, changes: [...made.changes, ...outdated] };
    if (result.changes.length === 0) {
      const nothing = { rule: noRule, changes: [], unsettled: [], conflicts: [] };
      placed(nothing);
      return ok(nothing);
    }
    // Other jobs of the root must not wait for what comes over the wire.
    const ahead = held.shares ? await this.#fetchAhead(result.changes) : ok(undefined);
    if (!ahead.ok) return ahead;
    return held.alone(async () => {
      const back = await this.#takeBack(result);
      if (back.ok) placed(back.value);
      return back;
    });
  }

  async #takeBack(result: RootResult): Promise<Result<TakenBack>> {
    // The contents come while the tree here is looked at; only what was touched meanwhile is asked for after it.
    const [now, early] = await Promise.all([
      this.#held.root.look(),
      this.#fetchAhead(result.changes),
    ]);
    if (!now.ok) return now;
    if (!early.ok) return early;
    const fault = this.#faultOf(result.changes, now.value);
    if (fault !== undefined) return fail(fault);
    if (this.#needs.before !== undefined) this.#compare(this.#needs.before, result, now.value);
    const fetched = await this.#fetch(result.changes, now.value);
    if (!fetched.ok) return fetched;
    const resumed = this.#rule !== undefined;
    const rule = (this.#rule ??= this.#ruleFor(now.value, result));
    const there = await this.#stampAll(result.changes, rule);
    if (!there.ok) return there;
    if (!resumed) this.#needs.placing(rule);
    return this.#place(there.value, { now: now.value, rule, resumed });
  }

  /** Finds out what changed here since a scan that another process took. */
  #compare(before: Manifest, result: RootResult, now: Snapshot): void {
    const { root } = this.#held;
    const seen: Seen = this.#held.seen ?? new Map();
    for (const { path } of result.changes) {
      const was = before.get(path) ?? root.withheld(path);
      if (sameEntry(was, now.manifest.get(path))) continue;
      // Of a file with several names the first may be placed by now: the others are what they were.
      if (!sameEntry(beneath(before, path), beneath(now.manifest, path)))
        this.#found.paths.add(path);
    }
    const since = this.#held.snapshot.scanTime - COARSE_CLOCK;
    for (const [path, entry] of now.manifest) {
      if (entry.kind === 'hardlink' || (root.tree.stat(path)?.ctime ?? 0n) < since) continue;
      if (wasSeen(seen, path, entry) || root.isOneOf(this.#found.own, path)) continue;
      const { earliest } = this.#found;
      if (earliest === undefined || entry.mtime < earliest) this.#found.earliest = entry.mtime;
    }
  }

  /** The stamps' rule for a return that happens now. */
  #ruleFor(now: Snapshot, result: RootResult): StampRule {
    // What is edited after the scan began is newer than everything the run made.
    let cap = now.scanTime;
    const { earliest } = this.#edits;
    if (earliest !== undefined && earliest - BEFORE_EDIT < cap) cap = earliest - BEFORE_EDIT;
    const { offset } = this.#needs;
    const floor = this.#held.snapshot.scanTime;
    return { from: result.from, till: result.till, offset, floor, cap };
  }

  /** Why the changes cannot be those of a job that began with what was sent: they would lead elsewhere. */
  #faultOf(changes: readonly Change[], now: Snapshot): string | undefined {
    const checked = checkChanges(changes);
    if (!checked.ok) return `the worker's list of changes is bad: ${checked.failure.reason}`;
    const put = new Map(
      changes.flatMap((change) =>
        change.op === 'put' ? [[change.path, change.entry] as const] : [],
      ),
    );
    const entryAt = (path: RawPath): Entry | undefined =>
      put.get(path) ?? this.#held.root.agreed(path) ?? now.manifest.get(path);
    for (const [path, entry] of put) {
      const parent = parentOf(path);
      if (parent !== undefined && entryAt(parent)?.kind !== 'dir')
        return `the worker returns ${shown(path)}, which lies below what is not a folder`;
      if (entry.kind === 'hardlink' && entryAt(entry.to)?.kind !== 'file')
        return `the worker returns ${shown(path)}, a hard link to what is not a file`;
    }
    return undefined;
  }

  /** Contents that were not here before the run; where another process looked then, it is not known which these are. */
  async #fetchAhead(changes: readonly Change[]): Promise<Result<undefined>> {
    if (this.#needs.before !== undefined) return ok(undefined);
    return this.#fetch(changes, this.#held.snapshot);
  }

  /** Contents that are not here yet. */
  async #fetch(
    changes: readonly Change[],
    now: Pick<Snapshot, 'manifest'>,
  ): Promise<Result<undefined>> {
    const wanted = new Map<Hash, Wanted>();
    for (const change of changes) {
      if (change.op !== 'put' || change.entry.kind !== 'file') continue;
      const here = now.manifest.get(change.path);
      const same = here?.kind === 'file' && here.hash === change.entry.hash;
      const { hash, size } = change.entry;
      if (same && ninjaMap(change.path, size) === undefined) continue;
      const path = Buffer.from(`${this.#held.root.path}/${change.path}`, 'latin1');
      const old = here?.kind === 'file' ? { hash: here.hash, size: here.size, path } : undefined;
      wanted.set(hash, { size, old: old ?? wanted.get(hash)?.old });
    }
    return this.#needs.bring(wanted);
  }

  async #stampAll(changes: readonly Change[], rule: StampRule): Promise<Result<Change[]>> {
    const all: Change[] = [];
    for (const change of changes) {
      if (change.op === 'gone') {
        all.push(change);
        continue;
      }
      let entry = stamped(change.entry, rule);
      const map = entry.kind === 'file' ? ninjaMap(change.path, entry.size) : undefined;
      if (entry.kind === 'file' && map !== undefined) {
        const mapped = await this.#mapNinja(change.path, entry, (content) => map(content, rule));
        if (!mapped.ok) return mapped;
        entry = mapped.value;
      }
      all.push({ op: 'put', path: change.path, entry });
    }
    return ok(all);
  }

  async #mapNinja(
    path: RawPath,
    entry: Extract<Entry, { kind: 'file' }>,
    map: (content: Buffer) => Buffer,
  ): Promise<Result<Entry>> {
    try {
      const content = await readFile(this.#needs.spool.pathOf(entry.hash));
      const mapped = map(content);
      if (mapped.equals(content)) return ok(entry);
      const hash = hashBytes(mapped);
      const kept = this.#needs.spool.keep(hash, mapped);
      return kept.ok ? ok({ ...entry, hash, size: mapped.length }) : kept;
    } catch (thrown) {
      return fail(`${path}: ${messageOf(thrown)}`);
    }
  }

  async #place(
    there: readonly Change[],
    at: {
      readonly now: Snapshot;
      readonly rule: StampRule;
      /** An earlier attempt may have placed some of it. */
      readonly resumed: boolean;
    },
  ): Promise<Result<TakenBack>> {
    const unsettled = new Set<RawPath>();
    const conflicts: string[] = [];
    const { tree, path: rootPath } = this.#held.root;
    const suffix = this.#needs.job.slice(0, 8);
    const touched = this.#edits.paths;
    const left = at.resumed ? unmade(there, at.now.manifest) : there;
    const todo = left.filter((change) => {
      if (at.resumed && touched.has(change.path) && isKept(change, suffix, at.now.manifest)) {
        unsettled.add(change.path);
        conflicts.push(`${rootPath}/${change.path}`);
      }
      if (!at.resumed && touched.has(change.path) && yields(change)) unsettled.add(change.path);
      return !unsettled.has(change.path);
    });
    const root = Buffer.from(rootPath, 'latin1');
    const halfDone = todo.filter((change) => at.resumed && isHalfMade(change, at.now.manifest));
    const halfMade = new Set(halfDone.map(({ path }) => path));
    const spared = (path: RawPath): boolean => touched.has(path) && !halfMade.has(path);
    const over: (() => void)[] = [];
    const spending = this.#spending(todo);
    const result = await placeChanges({
      helper: this.#needs.helper,
      root,
      changes: todo,
      contentOf: (hash) => this.#contentOf(hash, at.now, todo),
      spends: spending.spends,
      // What was touched here must not be replaced, and 'absent' is what it certainly is not.
      guard: (path) => (spared(path) ? 'absent' : (tree.stat(path) ?? 'absent')),
      before: (path) => at.now.manifest.get(path),
      stage: stageOf,
      intend: (all) => {
        const operations = all.filter((operation) => !spared(operation.path));
        const name = `${this.#needs.job}-${this.#held.root.key}`;
        over.push(this.#needs.redo.intend(name, { root: rootPath, suffix, operations }));
      },
      suffix,
    }).finally(spending.over);
    for (const end of over) end();
    const placed: Placed = result.ok ? result.value : result.failure.placed;
    for (const one of placed.placed) tree.adopt(one.path, one.entry, one.identity);
    for (const conflict of placed.conflicts) {
      unsettled.add(conflict.path);
      conflicts.push(`${rootPath}/${conflict.path}`);
    }
    if (!result.ok)
      return fail(
        `${rootPath}/${result.failure.path}: ${result.failure.reason}`,
        result.failure.next,
      );
    return ok({ rule: at.rule, changes: there, unsettled: [...unsettled], conflicts });
  }

  /** Gives away contents that only one file is made of; `over` when they are placed, or were not. */
  #spending(changes: readonly Change[]): { spends: (hash: Hash) => boolean; over: () => void } {
    const { spool, asker, usesOf, moved } = this.#needs;
    const given: Hash[] = [];
    return {
      spends: (hash) => {
        if (usesOf(hash) !== 1 || !spool.giveAway(hash, asker)) return false;
        given.push(hash);
        return true;
      },
      over: () => {
        spool.left(given);
        const gone = new Set(given.filter((hash) => !spool.has(hash)));
        const root = Buffer.from(this.#held.root.path, 'latin1');
        for (const change of changes)
          if (change.op === 'put' && change.entry.kind === 'file' && gone.has(change.entry.hash))
            moved(change.entry.hash, absolute(root, change.path));
      },
    };
  }

  #contentOf(hash: Hash, now: Snapshot, changes: readonly Change[]): Buffer {
    if (this.#needs.spool.has(hash)) return this.#needs.spool.pathOf(hash);
    const same = changes.find(
      (change) => change.op === 'put' && change.entry.kind === 'file' && change.entry.hash === hash,
    );
    const path = same?.path ?? '';
    const here = now.manifest.get(path);
    if (here?.kind !== 'file' || here.hash !== hash) throw new Error(`content ${hash} is not here`);
    return Buffer.from(`${this.#held.root.path}/${path}`, 'latin1');
  }
}
