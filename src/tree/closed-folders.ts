/**
 * Folders of a tree of ours that a tool closed to their own owner (mode 0, 0311, 0444): open while we are at the tree, known by
 * the mode they really have, and closed again before anybody else is.
 */
import { chmodSync, closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Operation, OperationResult } from './apply.ts';
import { byPath } from './diff.ts';
import type { FsHelper } from './fs-helper.ts';
import type { RawPath } from './manifest.ts';
import { parentOf } from './paths.ts';
import type { Identity } from './scan.ts';

/** open(2); Node does not name it. */
const O_PATH = 0o10000000;
/** Its owner may list it and reach what is in it. */
const SEEING = 0o500;
const OPEN = 0o700;

type Inode = Pick<Identity, 'dev' | 'ino'>;
type Opened = Inode & { readonly mode: number };

/** Opens the folder `root`, if it is ours and closed; which it is then. */
function openTop(root: Buffer): Opened | undefined {
  let held: number | undefined;
  try {
    held = openSync(root, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const { dev, ino, mode: bits } = fstatSync(held, { bigint: true });
    const mode = Number(bits & 0o7777n);
    if ((mode & SEEING) === SEEING) return undefined;
    chmodSync(`/proc/self/fd/${held}`, mode | OPEN);
    return { dev, ino, mode };
  } catch {
    return undefined;
  } finally {
    if (held !== undefined) closeSync(held);
  }
}

export class ClosedFolders {
  readonly #helper: FsHelper;
  readonly #root: Buffer;
  readonly #opened = new Map<RawPath, Opened>();

  constructor(helper: FsHelper, root: Buffer) {
    this.#helper = helper;
    this.#root = root;
  }

  /**
   * Opens the folders for which a scan could not read these paths, as far as they are ours. False where there are none: then
   * another scan finds no more.
   */
  async open(unreadable: Iterable<RawPath>): Promise<boolean> {
    const top = openTop(this.#root);
    if (top !== undefined) {
      this.#opened.set('', top);
      return true;
    }
    // What cannot be looked at lies in a folder that cannot be entered.
    const paths = new Set([...unreadable].flatMap((path) => [path, parentOf(path) ?? '']));
    const found = await this.#stat(paths);
    const closed = found.filter(([, { mode }]) => (mode & SEEING) !== SEEING);
    const done = await this.#set(
      closed.map(([path, at]) => [path, { ...at, mode: at.mode | OPEN }]),
    );
    let any = false;
    for (const [i, [path, { dev, ino, mode }]] of closed.entries()) {
      if (done[i]?.outcome !== 'done') continue;
      this.#opened.set(path, { dev, ino, mode });
      any = true;
    }
    return any;
  }

  /** The mode that the folder at a path, as a scan saw it, has when nobody opened it. */
  modeOf(path: RawPath, identity: Identity): number {
    const opened = this.#opened.get(path);
    return opened !== undefined && isOpened(opened, identity) ? opened.mode : identity.mode;
  }

  /** Something else was put at a path. */
  replaced(path: RawPath): void {
    this.#opened.delete(path);
  }

  /** Gives those that are still there, and as they were opened, their modes again. */
  async close(): Promise<void> {
    if (this.#opened.size === 0) return;
    const found = await this.#stat(this.#opened.keys());
    const open = found.flatMap(([path, at]): [RawPath, Identity][] => {
      const opened = this.#opened.get(path);
      return opened !== undefined && isOpened(opened, at)
        ? [[path, { ...at, mode: opened.mode }]]
        : [];
    });
    this.#opened.clear();
    // The innermost first: the way to them leads through the others.
    await this.#set(open.sort(([a], [b]) => byPath(b, a)));
  }

  async #stat(paths: Iterable<RawPath>): Promise<[RawPath, Identity][]> {
    const operations = Array.from(paths, (path): Operation => ({ op: 'stat', path }));
    const results = await this.#apply(operations);
    return results.flatMap((result, i): [RawPath, Identity][] => {
      const path = operations[i]?.path;
      if (path === undefined || result.outcome !== 'done' || result.identity === undefined)
        return [];
      return [[path, result.identity]];
    });
  }

  /** Their times stay. */
  #set(folders: readonly (readonly [RawPath, Identity])[]): Promise<OperationResult[]> {
    return this.#apply(
      folders.map(([path, { mode, mtime }]) => ({ op: 'dirMeta', path, mode, mtime })),
    );
  }

  async #apply(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (operations.length === 0) return [];
    const applied = await this.#helper.apply(this.#root, operations);
    return applied.ok ? applied.value : [];
  }
}

function isOpened(opened: Opened, now: Identity): boolean {
  return now.ino === opened.ino && now.dev === opened.dev && now.mode === (opened.mode | OPEN);
}
