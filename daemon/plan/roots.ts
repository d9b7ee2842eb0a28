/** Gathers the roots of one command and keeps them sound: none refused, none twice, outermost first. */
import { posix } from 'node:path';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { PlannedRoot } from '../../src/protocol/ipc.ts';
import {
  exists,
  isFolder,
  isSymlink,
  isWithin,
  isWritable,
  linkTarget,
  realPath,
  upwards,
} from './files.ts';
import { largeStores, type LargeStore } from './git-stores.ts';
import { installedPart, projectOf, versionFolders } from './project.ts';
import { isSystem, isVirtual, refusedRoot } from './system.ts';

type Draft = {
  path: string;
  policy: 'project' | 'readOnly';
  skip: Set<string>;
  /** undefined: everything. */
  only: Set<string> | undefined;
  cold: Set<string>;
  filled?: PlannedRoot['filled'];
};

/** Where a path named by a command lies. */
export type Place = 'root' | 'system';

export class Roots {
  readonly #drafts = new Map<string, Draft>();
  readonly #home: string | undefined;
  readonly #exclude: readonly string[];
  readonly #gitLimit: number;
  /** Stores that are not carried, by the folder of their objects. */
  readonly #stores = new Map<string, LargeStore>();

  /** `gitLimit`: bytes of a git object store that is still carried whole. */
  constructor(home: string | undefined, exclude: readonly string[], gitLimit: number) {
    this.#home = home;
    this.#exclude = exclude;
    this.#gitLimit = gitLimit;
  }

  /** Whether git finds less of its history there than here. */
  get lacksHistory(): boolean {
    return this.#stores.size > 0;
  }

  /** A folder whose changes return. Its version control's folders come along read-only. */
  project(path: string): Failure | undefined {
    const refused = refusedRoot(path, this.#home);
    if (refused !== undefined) return { reason: refused };
    if (!isFolder(path)) return { reason: `${path} is not a folder` };
    if (!isWritable(path))
      return { reason: `${path} cannot be written here: the tool's own message is right` };
    const known = this.#drafts.get(path);
    if (known !== undefined) {
      known.policy = 'project';
      known.only = undefined;
    } else if (!this.#covered(path, 'project')) {
      const skip = new Set(['.rch', ...this.#exclude, ...this.#withoutStores(path, '.git')]);
      this.#drafts.set(path, { path, policy: 'project', skip, only: undefined, cold: new Set() });
    }
    for (const folder of versionFolders(path)) {
      const no = this.readOnly(folder, undefined, this.#withoutStores(folder));
      if (no !== undefined) return no;
    }
    return undefined;
  }

  /** A folder that is made before anything runs. */
  #newProject(path: string): Failure | undefined {
    const refused = refusedRoot(path, this.#home);
    if (refused !== undefined) return { reason: refused };
    const parent = posix.dirname(path);
    if (!isFolder(parent) || !isWritable(parent))
      return { reason: `the folder ${path} is not there yet: the first build here makes it` };
    const skip = new Set(['.rch', ...this.#exclude]);
    this.#drafts.set(path, { path, policy: 'project', skip, only: undefined, cold: new Set() });
    return undefined;
  }

  /** A folder that is only read; `only` are relative paths in it, all of it when undefined. */
  readOnly(
    path: string,
    only?: Iterable<string>,
    skip: Iterable<string> = [],
  ): Failure | undefined {
    if (only === undefined) {
      if (this.#covered(path, 'readOnly')) return undefined;
      const refused = refusedRoot(path, this.#home);
      if (refused !== undefined) return { reason: refused };
      if (!isFolder(path)) return { reason: `${path} is not a folder` };
    }
    const draft = this.#drafts.get(path) ?? {
      path,
      policy: 'readOnly',
      skip: new Set(),
      only: new Set(),
      cold: new Set(),
    };
    for (const each of skip) draft.skip.add(each);
    if (only === undefined) draft.only = undefined;
    else for (const each of only) draft.only?.add(each);
    this.#drafts.set(path, draft);
    return undefined;
  }

  /**
   * Marks a folder as a tool's, whose products a worker starts without; it is in a project root, or becomes one. One that is
   * missing the launcher makes, with the lock in it.
   */
  cold(path: string, filled: NonNullable<PlannedRoot['filled']>): Failure | undefined {
    let around = this.#around(path, 'project');
    if (around === undefined) {
      const no = exists(path) ? this.project(path) : this.#newProject(path);
      if (no !== undefined) return no;
      around = this.#drafts.get(path);
    }
    if (around === undefined) return undefined;
    around.cold.add(posix.relative(around.path, path));
    around.filled = filled;
    return undefined;
  }

  /** True when a whole root holds the path. */
  holds(path: string): boolean {
    return this.#around(path) !== undefined;
  }

  /** True when a writable root holds the path. */
  writes(path: string): boolean {
    return this.#around(path, 'project') !== undefined;
  }

  /**
   * Makes a path that the command reads present on the worker: it lies in a root, or belongs to the system, or
   * the project around it becomes a read-only root (of something installed: its folder), or with `writes` one whose changes
   * return. Symlinks on the way are carried too.
   */
  reads(path: string, writes = false): Result<Place> {
    if (isVirtual(path))
      return path === '/dev/null' || path === '/dev/zero'
        ? ok('system')
        : fail(`${path} exists on this machine alone`);
    const real = realPath(path) ?? path;
    for (const link of this.#linksOn(path)) {
      const no = this.readOnly(posix.dirname(link), [posix.basename(link)]);
      if (no !== undefined) return fail(no.reason);
    }
    if (isSystem(real)) return ok('system');
    if (writes ? this.writes(real) : this.holds(real)) return ok('root');
    if (!exists(real)) return fail(`${path} is not there: the message of this machine is right`);
    const folder = isFolder(real) ? real : posix.dirname(real);
    const found = projectOf(folder, this.#home);
    if ('refused' in found) return fail(`${path} lies outside the project: ${found.refused}`);
    const installed = installedPart(folder);
    const no =
      writes && installed === undefined && isWritable(found.root)
        ? this.project(found.root)
        : this.readOnly(installed ?? found.root);
    return no === undefined ? ok('root') : fail(no.reason);
  }

  /** The roots, outermost first; those inside another that carries the same are left out. */
  planned(): PlannedRoot[] {
    return [...this.#drafts.values()]
      .filter((draft) => draft.only !== undefined || !this.#coveredByOther(draft))
      .filter((draft) => draft.only === undefined || !this.#coveredByOther(draft))
      .sort((one, two) => (one.path < two.path ? -1 : 1))
      .map((draft): PlannedRoot => ({
        path: draft.path,
        policy: draft.policy,
        skip: [...draft.skip].sort(),
        only: [...(draft.only ?? [])].sort(),
        cold: [...draft.cold].sort(),
        ...(draft.filled === undefined ? {} : { filled: draft.filled }),
      }))
      .concat(this.#standIns());
  }

  /** The stores of the git folder `name` in `root` that stay here, relative to `root`; others stand in for them. */
  #withoutStores(root: string, name = ''): string[] {
    const git = name === '' ? root : `${root}/${name}`;
    return largeStores(git, this.#gitLimit).map((store) => {
      this.#stores.set(store.objects, store);
      return posix.relative(root, store.objects);
    });
  }

  #standIns(): PlannedRoot[] {
    return [...this.#stores.values()].map(({ git, objects }) => ({
      path: objects,
      policy: 'readOnly',
      skip: [],
      only: [],
      cold: [],
      git,
    }));
  }

  /** Symlinks among the folders of a path (and itself) that no root carries and the system does not own. */
  #linksOn(path: string): string[] {
    const links: string[] = [];
    const pending = [path];
    for (let at = pending.pop(); at !== undefined && links.length < 40; at = pending.pop()) {
      const link = upwards(at)
        .reverse()
        .find((each) => isSymlink(each));
      if (link === undefined) continue;
      const target = posix.resolve(posix.dirname(link), linkTarget(link) ?? '');
      if (!isSystem(link) && !this.holds(link)) links.push(link);
      pending.push(target + at.slice(link.length));
    }
    return links;
  }

  #around(path: string, policy?: 'project'): Draft | undefined {
    for (const draft of this.#drafts.values()) {
      const whole = draft.only === undefined && !this.#skipped(draft, path);
      if (whole && isWithin(path, draft.path) && (policy === undefined || draft.policy === policy))
        return draft;
    }
    return undefined;
  }

  #skipped(draft: Draft, path: string): boolean {
    return [...draft.skip].some((each) => isWithin(path, `${draft.path}/${each}`));
  }

  #covered(path: string, policy: 'project' | 'readOnly'): boolean {
    return policy === 'project' ? this.writes(path) : this.holds(path);
  }

  #coveredByOther(draft: Draft): boolean {
    for (const other of this.#drafts.values()) {
      if (other === draft || other.only !== undefined || this.#skipped(other, draft.path)) continue;
      if (!isWithin(draft.path, other.path)) continue;
      if (other.policy === 'project' || draft.policy === 'readOnly') return true;
    }
    return false;
  }
}
