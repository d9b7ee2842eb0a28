/**
 * What stands in for a git object store that is too large to be carried: every commit and tag that a ref or a HEAD
 * leads to, and the trees and files of each HEAD and index. With it git answers rev-parse, describe, status, diff,
 * rev-list and log as with the whole; what needs an old tree or file, or adds an object, fails there.
 *
 * ```
 * FOLDER/objects/pack/   packs, added to as the repository grows: the root that is carried
 * FOLDER/state.json      what they hold, and what the repository looked like then
 * ```
 * The repository itself is only read.
 */
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';

/** With more packs than this all are made anew as one. */
const MOST_PACKS = 6;

const stateShape = z.object({
  version: z.literal(1),
  stamp: z.string(),
  /** Objects whose whole history of commits is held. */
  tips: z.array(z.string()),
  /** Trees and files that are held. */
  held: z.array(z.string()),
});
type State = z.infer<typeof stateShape>;

const nothing: State = { version: 1, stamp: '', tips: [], held: [] };

/**
 * What git reads here, it reads without writing (an index that would be refreshed) or fetching (a partial clone).
 * Its temporary files go into an object store of ours: pack-objects would make them in that of the repository.
 */
function environment(of: Source): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'));
  return {
    ...Object.fromEntries(kept),
    GIT_DIR: decoded(of.git),
    GIT_OBJECT_DIRECTORY: of.scratch,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: `"${decoded(of.objects).replace(/["\\]/g, '\\$&')}"`,
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
  };
}

/** A git folder and its object store (raw paths), and where git may write. */
type Source = { readonly git: string; readonly objects: string; readonly scratch: string };

const decoded = (path: string): string => Buffer.from(path, 'latin1').toString();

/** Runs git on a git folder; its output, whatever bytes, as latin1. */
async function run(of: Source, args: readonly string[], input = ''): Promise<Result<string>> {
  const child = spawn('git', args, { cwd: '/', env: environment(of), stdio: 'pipe' });
  const ended = new Promise<number | Error | null>((resolve) => {
    child.once('error', resolve);
    child.once('close', resolve);
  });
  child.stdout.setEncoding('latin1');
  const [out, complaint, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
    pipeline([Buffer.from(input, 'latin1')], child.stdin).catch(() => undefined),
  ]);
  if (code === 0) return ok(out);
  const why = code instanceof Error ? code.message : complaint.trim().split('\n').at(-1);
  return fail(`git ${args[0] ?? ''} in ${decoded(of.git)} failed: ${why ?? 'no reason'}`);
}

/** Stamps of all that decides what must be held: HEADs, refs, indexes. */
function stampOf(git: string): string {
  const hash = createHash('sha256');
  const note = (path: string): void => {
    const raw = Buffer.from(path, 'latin1');
    const stat = fs.statSync(raw, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return;
    if (stat.isDirectory())
      for (const name of fs.readdirSync(raw, 'latin1').sort()) note(`${path}/${name}`);
    else hash.update(`${path}\0${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}\n`);
  };
  for (const name of ['HEAD', 'index', 'packed-refs', 'shallow', 'refs', 'reftable'])
    note(`${git}/${name}`);
  for (const folder of worktrees(git))
    for (const name of ['HEAD', 'index', 'refs']) note(`${folder}/${name}`);
  return hash.digest('hex');
}

/** The git folders of the linked worktrees. */
function worktrees(git: string): string[] {
  try {
    const folder = `${git}/worktrees`;
    return fs
      .readdirSync(Buffer.from(folder, 'latin1'), 'latin1')
      .map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}

const lines = (output: string): string[] => output.split('\n').filter((line) => line !== '');

/** `HASH path` of the trees and files of a worktree's HEAD and index. */
async function snapshotOf(of: Source): Promise<Result<string[]>> {
  const root = await run(of, ['rev-parse', '--quiet', '--verify', 'HEAD^{tree}']);
  const found: string[] = [];
  if (root.ok) {
    const tree = await run(of, ['ls-tree', '-r', '-t', '-z', 'HEAD']);
    if (!tree.ok) return tree;
    found.push(root.value.trim());
    // MODE TYPE HASH TAB PATH
    for (const line of tree.value.split('\0')) {
      const match = /^\d+ (tree|blob) ([0-9a-f]+)\t/.exec(line);
      if (match !== null) found.push(match[2] ?? '');
    }
  }
  const index = await run(of, ['ls-files', '--stage', '-z']);
  if (!index.ok) return index;
  // MODE HASH STAGE TAB PATH; 160000 is a submodule's commit.
  for (const line of index.value.split('\0')) {
    const match = /^(\d+) ([0-9a-f]+) \d\t/.exec(line);
    if (match !== null && match[1] !== '160000') found.push(match[2] ?? '');
  }
  return ok(found);
}

export class GitObjects {
  /** The folder that stands for the store. */
  readonly objects: string;
  readonly #source: Source;
  readonly #folder: string;
  #state: State | undefined;

  /** `git`: raw path of a git folder; `folder`: ours alone. */
  constructor(git: string, folder: string) {
    this.#folder = folder;
    this.objects = join(folder, 'objects');
    this.#source = { git, objects: `${git}/objects`, scratch: join(folder, 'scratch') };
  }

  /** Adds what the repository needs by now; costs next to nothing while its refs and indexes stay. */
  async refresh(): Promise<Result<undefined>> {
    try {
      const stamp = stampOf(this.#source.git);
      this.#state ??= await this.#load();
      if (this.#state.stamp === stamp) return ok(undefined);
      if (this.#packs() > MOST_PACKS) this.#state = nothing;
      if (this.#state === nothing) await rm(this.#folder, { recursive: true, force: true });
      await mkdir(join(this.objects, 'pack'), { recursive: true, mode: 0o700 });
      await mkdir(join(this.#source.scratch, 'pack'), { recursive: true, mode: 0o700 });
      const state = await this.#extend(this.#state, stamp);
      if (!state.ok) return state;
      this.#state = state.value;
      const file = join(this.#folder, 'state.json');
      await writeFile(`${file}.new`, JSON.stringify(this.#state), { mode: 0o600 });
      await rename(`${file}.new`, file);
      return ok(undefined);
    } catch (thrown) {
      return fail(`git's history cannot be prepared: ${messageOf(thrown)}`);
    }
  }

  #packs(): number {
    const folder = join(this.objects, 'pack');
    return fs.existsSync(folder)
      ? fs.readdirSync(folder).filter((name) => name.endsWith('.pack')).length
      : 0;
  }

  async #load(): Promise<State> {
    const known = await readFile(join(this.#folder, 'state.json'), 'utf8').catch(() => 'null');
    const state = stateShape.safeParse(JSON.parse(known));
    return state.success && this.#packs() > 0 ? state.data : nothing;
  }

  async #extend(known: State, stamp: string): Promise<Result<State>> {
    const source = this.#source;
    const refs = await run(source, ['for-each-ref', '--format=%(objectname)']);
    if (!refs.ok) return refs;
    const tips = new Set(lines(refs.value));
    const held = new Set(known.held);
    const wanted = new Set<string>();
    for (const git of [source.git, ...worktrees(source.git)]) {
      const head = await run({ ...source, git }, ['rev-parse', '--quiet', '--verify', 'HEAD']);
      if (head.ok) tips.add(head.value.trim());
      const snapshot = await snapshotOf({ ...source, git });
      // A worktree whose folder is gone and was not pruned.
      if (!snapshot.ok && git !== source.git) continue;
      if (!snapshot.ok) return snapshot;
      for (const hash of snapshot.value) if (!held.has(hash)) wanted.add(hash);
    }
    const list = await this.#historyOf(tips, known.tips);
    if (!list.ok) return list;
    const there = await this.#present([...wanted]);
    if (!there.ok) return there;
    const packed = await this.#pack([...list.value, ...there.value]);
    if (!packed.ok) return packed;
    return ok({ version: 1, stamp, tips: [...tips], held: [...held, ...there.value] });
  }

  /** Commits and tags that lead to `tips` and not to `known`. */
  async #historyOf(tips: ReadonlySet<string>, known: readonly string[]): Promise<Result<string[]>> {
    const input = [...tips, ...known.map((hash) => `^${hash}`), ''].join('\n');
    const listed = await run(
      this.#source,
      ['rev-list', '--objects', '--filter=tree:0', '--ignore-missing', '--stdin'],
      input,
    );
    return listed.ok ? ok(lines(listed.value).map((line) => line.split(' ', 1)[0] ?? '')) : listed;
  }

  /** Those that are there: an index may name what was never added (git add --intent-to-add). */
  async #present(hashes: readonly string[]): Promise<Result<string[]>> {
    if (hashes.length === 0) return ok([]);
    const checked = await run(
      this.#source,
      ['cat-file', '--batch-check=%(objectname)', '--buffer'],
      `${hashes.join('\n')}\n`,
    );
    return checked.ok
      ? ok(lines(checked.value).filter((line) => !line.endsWith(' missing')))
      : checked;
  }

  /** Makes one more pack. */
  async #pack(hashes: readonly string[]): Promise<Result<undefined>> {
    if (hashes.length === 0) return ok(undefined);
    const fresh = join(this.#folder, 'new');
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { mode: 0o700 });
    // No search for deltas: those that are there are taken over.
    const made = await run(
      this.#source,
      ['pack-objects', '--quiet', '--window=0', '--delta-base-offset', join(fresh, 'pack')],
      `${hashes.join('\n')}\n`,
    );
    if (!made.ok) return made;
    // The index of a pack last: with it the pack counts.
    const names = fs
      .readdirSync(fresh)
      .sort((a, b) => Number(a.endsWith('.idx')) - Number(b.endsWith('.idx')));
    for (const name of names) await rename(join(fresh, name), join(this.objects, 'pack', name));
    return ok(undefined);
  }
}
