/** All roots the agent holds, of every workstation. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '../base/result.ts';
import type { RawPath } from '../tree/manifest.ts';
import { discard, type AgentFolder } from './folder.ts';
import { readMeta } from './root-files.ts';
import { openRoot, Root, type RootTools } from './root.ts';

const nameRule = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;

/** Names that come from outside and become folders. */
export function isPlainName(name: string): boolean {
  return nameRule.test(name);
}

/** What is wrong with the absolute path (latin1) a root is to stand at, or undefined. */
export function rootPathFault(path: RawPath): string | undefined {
  if (!path.startsWith('/') || path === '/') return 'a root must be a folder below /';
  if (path.length > 4000 || path.includes('\0')) return 'the path of a root cannot be one';
  const parts = path.slice(1).split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    return 'the path of a root has an empty, `.` or `..` part';
  if (parts.length === 1 && ['proc', 'sys', 'dev', 'run', 'etc', 'tmp'].includes(parts[0] ?? ''))
    return `a root cannot stand at ${path}`;
  return undefined;
}

export class Roots {
  readonly #folder: AgentFolder;
  readonly #tools: RootTools;
  readonly #roots = new Map<string, Root>();

  constructor(folder: AgentFolder, tools: RootTools) {
    this.#folder = folder;
    this.#tools = tools;
    for (const workstation of readdirSync(folder.trees)) {
      if (!isPlainName(workstation)) continue;
      for (const key of readdirSync(join(folder.trees, workstation))) this.#load(workstation, key);
    }
  }

  #load(workstation: string, key: string): void {
    const folder = join(this.#folder.trees, workstation, key);
    const meta = isPlainName(key) ? readMeta(folder) : undefined;
    if (meta === undefined) return;
    const root = new Root({ workstation, key, folder, meta }, this.#tools);
    this.#roots.set(root.name, root);
  }

  get all(): Root[] {
    return [...this.#roots.values()];
  }

  /** Root keys of a workstation with their epochs. */
  epochsOf(workstation: string): Record<string, string> {
    const epochs: Record<string, string> = {};
    for (const root of this.#roots.values())
      if (root.name.startsWith(`${workstation}/`)) epochs[root.key] = root.epoch.toString();
    return epochs;
  }

  find(workstation: string, key: string): Root | undefined {
    return this.#roots.get(`${workstation}/${key}`);
  }

  /** The root, made when it is new. `path` and `policy` are the link's word. */
  open(workstation: string, wanted: { key: string; path: RawPath; policy: number }): Result<Root> {
    if (!isPlainName(wanted.key)) return fail('the key of a root is not a plain name');
    const fault = rootPathFault(wanted.path);
    if (fault !== undefined) return fail(fault);
    const known = this.find(workstation, wanted.key);
    if (known?.path === wanted.path && known.policy === wanted.policy) return ok(known);
    if (known !== undefined && !known.turns.idle)
      return fail('the root is in use under another path');
    const folder = join(this.#folder.trees, workstation, wanted.key);
    const root = openRoot({ workstation, folder, ...wanted }, this.#tools);
    this.#roots.set(root.name, root);
    return ok(root);
  }

  /** Removes a root that nobody uses. Never one that stands outside the agent's folder. */
  async remove(root: Root): Promise<void> {
    if (root.standsAtPath) return;
    this.#roots.delete(root.name);
    // What it still writes would make the folder anew.
    await root.unload();
    await discard(this.#folder, root.folder);
  }
}
