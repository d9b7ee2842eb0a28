/**
 * Contents by their hash, in a folder of ours, bounded in bytes: the least recently used goes first.
 *
 * ```
 * FOLDER/ab/cdef…      a content (the rest of its hash), 0400 until a placed hard link gives it another mode
 * FOLDER/partial/HASH  an upload that is not finished
 * FOLDER/used          when each was last used: lines `HASH ms`, newest knowledge wins, may be missing or torn
 * ```
 * Everything gets its name by a rename, so a killed process leaves nothing half written under a hash.
 */
import * as fs from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { hashBytes, type Hasher } from './hash.ts';
import type { Hash } from './manifest.ts';
import { type Fill, Upload } from './upload.ts';
import { copySparse } from './sparse.ts';

export type Collected = {
  /** Bytes given back to the file system, and bytes still held. */
  readonly freed: number;
  readonly held: number;
  readonly removed: readonly Hash[];
};

type Item = { readonly size: number; used: number };

const HASH = /^[0-9a-f]{64}$/;
const FOLDER = /^[0-9a-f]{2}$/;
/** The folders of the contents. */
const SHARES = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

function notHash(hash: Hash): { readonly ok: false; readonly failure: { reason: string } } {
  return fail(`${JSON.stringify(hash)} is not a hash`);
}

async function attempt(what: string, action: () => Promise<void>): Promise<Result<void>> {
  try {
    await action();
    return ok(undefined);
  } catch (thrown) {
    return fail(`${what}: ${messageOf(thrown)}`);
  }
}

/** One folder of contents; several processes may write to the same folder. */
export class Store {
  readonly #folder: string;
  readonly #hasher: Hasher;
  readonly #items = new Map<Hash, Item>();
  readonly #uploads = new Map<Hash, Upload>();
  #bytes = 0;
  #temporaries = 0;

  private constructor(folder: string, hasher: Hasher) {
    this.#folder = folder;
    this.#hasher = hasher;
  }

  /** Opens the store, made if need be, and finds out what it holds. */
  static async open(options: { folder: string; hasher: Hasher }): Promise<Result<Store>> {
    const store = new Store(options.folder, options.hasher);
    const opened = await attempt(`the store ${options.folder} cannot be opened`, () =>
      store.#load(),
    );
    return opened.ok ? ok(store) : opened;
  }

  /** Bytes of all contents. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Is the content here? Asking counts as a use. */
  has(hash: Hash): boolean {
    const item = this.#items.get(hash);
    if (item === undefined) return false;
    item.used = Date.now();
    return true;
  }

  /** Makes the folders anew where somebody removed them under us, which a cache must bear. */
  restore(): void {
    if (fs.existsSync(join(this.#folder, 'partial'))) return;
    this.#items.clear();
    this.#bytes = 0;
    try {
      for (const name of ['partial', ...SHARES])
        fs.mkdirSync(join(this.#folder, name), { recursive: true, mode: 0o700 });
    } catch {
      // Whoever writes next is told why.
    }
  }

  /** As `has`, and looks whether another took the file of the content away: then it is no longer here. */
  lookFor(hash: Hash): boolean {
    const item = this.#items.get(hash);
    if (item === undefined) return false;
    if (fs.existsSync(this.#pathOf(hash))) return this.has(hash);
    this.#items.delete(hash);
    this.#bytes -= item.size;
    return false;
  }

  sizeOf(hash: Hash): number | undefined {
    return this.#items.get(hash)?.size;
  }

  /** Absolute path of a content. */
  pathOf(hash: Hash): Buffer {
    return Buffer.from(this.#pathOf(hash));
  }

  /** Bytes held of a content whose upload was interrupted (0: none). */
  partial(hash: Hash): number {
    const open = this.#uploads.get(hash);
    if (open !== undefined) return open.held;
    try {
      return HASH.test(hash) ? fs.statSync(this.#uploadPath(hash)).size : 0;
    } catch {
      return 0;
    }
  }

  /** Takes a whole content at once (for small ones: it writes synchronously). */
  put(hash: Hash, data: Buffer): Result<void> {
    if (this.has(hash)) return ok(undefined);
    if (!HASH.test(hash)) return notHash(hash);
    if (hashBytes(data) !== hash) return fail(`a content is not that of its hash ${hash}`);
    const temporary = this.#temporary();
    this.restore();
    try {
      fs.writeFileSync(temporary, data, { flag: 'wx', mode: 0o400 });
      this.#named(temporary, hash);
    } catch (thrown) {
      fs.rmSync(temporary, { force: true });
      return fail(`a content cannot be stored: ${messageOf(thrown)}`);
    }
    this.#added(hash, data.length);
    return ok(undefined);
  }

  /** Starts or resumes an upload; the value is the offset from which to go on (`size`: only finish is left). */
  async begin(hash: Hash, size: number): Promise<Result<number>> {
    if (!HASH.test(hash)) return notHash(hash);
    const open = this.#uploads.get(hash);
    if (open !== undefined) return ok(open.held);
    this.restore();
    const upload = await Upload.open(this.#uploadPath(hash), size);
    if (!upload.ok) return upload;
    const other = this.#uploads.get(hash);
    if (other !== undefined) {
      await upload.value.close();
      return ok(other.held);
    }
    this.#uploads.set(hash, upload.value);
    return ok(upload.value.held);
  }

  /** Writes a piece of a begun upload; pieces may come in any order. */
  async write(hash: Hash, offset: number, data: Buffer): Promise<Result<void>> {
    const upload = this.#uploads.get(hash);
    return upload === undefined
      ? fail(`the upload of ${hash} was not begun`)
      : upload.write(offset, data);
  }

  /** Adds bytes that need not come to a begun upload, after what it holds. */
  async fill(hash: Hash, offset: number, what: Fill): Promise<Result<void>> {
    const upload = this.#uploads.get(hash);
    return upload === undefined
      ? fail(`the upload of ${hash} was not begun`)
      : upload.fill(offset, what);
  }

  /** Ends an upload: the content is here if it is that of its hash, else the upload is dropped. */
  async finish(hash: Hash): Promise<Result<void>> {
    const upload = this.#uploads.get(hash);
    if (upload === undefined)
      return this.has(hash) ? ok(undefined) : fail(`the upload of ${hash} was not begun`);
    this.#uploads.delete(hash);
    const closed = await upload.close();
    if (!closed.ok) return closed;
    const path = this.#uploadPath(hash);
    const found = upload.digest() ?? (await this.#hashOf(path));
    if (found !== hash) {
      await rm(path, { force: true });
      return fail(`a content of ${upload.size} bytes is not that of its hash ${hash}`);
    }
    return this.#takeIn(path, hash, upload.size);
  }

  /** Stops an upload; what came so far stays for the next begin, unless `drop`. */
  async abandon(hash: Hash, options: { drop?: boolean } = {}): Promise<void> {
    const upload = this.#uploads.get(hash);
    this.#uploads.delete(hash);
    await upload?.close();
    if (options.drop === true && HASH.test(hash)) await rm(this.#uploadPath(hash), { force: true });
  }

  /**
   * Takes in a copy of a file, with its holes; fails when it is not that of its hash, or `wanted` says at the end that
   * nobody wants it.
   */
  async add(path: Buffer, hash: Hash, wanted = (): boolean => true): Promise<Result<void>> {
    if (this.has(hash)) return ok(undefined);
    if (!HASH.test(hash)) return notHash(hash);
    const temporary = this.#temporary();
    this.restore();
    const copied = await copySparse(path, temporary);
    if (!copied.ok || copied.value.hash !== hash) {
      await rm(temporary, { force: true });
      return copied.ok ? fail(`${path.toString()} is not the content ${hash}`) : copied;
    }
    if (!wanted()) {
      await rm(temporary, { force: true });
      return fail(`${hash} is not wanted any more`);
    }
    return this.#takeIn(temporary, hash, copied.value.size);
  }

  /** Removes the least recently used until at most `limit` bytes are held; what is `pinned` stays. */
  async collect(limit: number, pinned: Pick<ReadonlySet<Hash>, 'has'>): Promise<Collected> {
    const removed: Hash[] = [];
    let freed = 0;
    const oldest = [...this.#items].sort((a, b) => a[1].used - b[1].used);
    for (const [hash, item] of oldest) {
      if (this.#bytes <= limit) break;
      if (pinned.has(hash)) continue;
      // From here on nobody is told that it is here; another may have taken it away meanwhile.
      if (!this.#items.delete(hash)) continue;
      this.#bytes -= item.size;
      const path = this.#pathOf(hash);
      try {
        // While a placed tree shares the inode, removing its name here gives nothing back.
        if ((await stat(path)).nlink === 1) freed += item.size;
        await rm(path);
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') {
          this.#items.set(hash, item);
          this.#bytes += item.size;
          continue;
        }
      }
      removed.push(hash);
    }
    await this.#saveUsed();
    return { freed, held: this.#bytes, removed };
  }

  /** Closes what is open and remembers what was used when. */
  async close(): Promise<void> {
    for (const hash of [...this.#uploads.keys()]) await this.abandon(hash);
    await this.#saveUsed();
  }

  /** The file is the content from now on; nothing else happens between the call and its rename. */
  async #takeIn(path: string, hash: Hash, size: number): Promise<Result<void>> {
    const moved = await attempt('a content cannot be stored', () => {
      this.#named(path, hash);
      return Promise.resolve();
    });
    if (moved.ok) this.#added(hash, size);
    return moved;
  }

  /** Gives a file its name; its folder may have been removed under us, alone. */
  #named(path: string, hash: Hash): void {
    const to = this.#pathOf(hash);
    try {
      fs.renameSync(path, to);
    } catch {
      fs.mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
      fs.renameSync(path, to);
    }
  }

  #pathOf(hash: Hash): string {
    return join(this.#folder, hash.slice(0, 2), hash.slice(2));
  }

  #uploadPath(hash: Hash): string {
    return join(this.#folder, 'partial', hash);
  }

  #temporary(): string {
    this.#temporaries += 1;
    return join(this.#folder, 'partial', `.${process.pid}.${this.#temporaries}.${Date.now()}`);
  }

  #added(hash: Hash, size: number): void {
    if (!this.#items.has(hash)) this.#bytes += size;
    this.#items.set(hash, { size, used: Date.now() });
  }

  async #hashOf(path: string): Promise<Hash | undefined> {
    const hashed = await this.#hasher.hashFile(Buffer.from(path));
    return hashed.ok ? hashed.value.hash : undefined;
  }

  async #load(): Promise<void> {
    await mkdir(join(this.#folder, 'partial'), { recursive: true, mode: 0o700 });
    const names = new Set(await readdir(this.#folder));
    for (const name of SHARES)
      if (!names.has(name)) await mkdir(join(this.#folder, name), { mode: 0o700, recursive: true });
    const used = await this.#readUsed();
    for (const folder of names) if (FOLDER.test(folder)) await this.#loadFolder(folder, used);
    await this.#dropStale();
  }

  async #loadFolder(folder: string, used: ReadonlyMap<Hash, number>): Promise<void> {
    for (const rest of await readdir(join(this.#folder, folder))) {
      const hash = folder + rest;
      if (!HASH.test(hash)) continue;
      const found = await stat(this.#pathOf(hash)).catch(() => undefined);
      if (found === undefined) continue;
      // mtime may be that of a placed hard link; ctime is when it came or was last linked.
      this.#items.set(hash, { size: found.size, used: used.get(hash) ?? found.ctimeMs });
      this.#bytes += found.size;
    }
  }

  /** Uploads and temporaries nobody went on with for a week. */
  async #dropStale(): Promise<void> {
    const week = 7 * 24 * 3600 * 1000;
    for (const name of await readdir(join(this.#folder, 'partial'))) {
      const path = join(this.#folder, 'partial', name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && Date.now() - found.mtimeMs > week) await rm(path, { force: true });
    }
  }

  async #readUsed(): Promise<Map<Hash, number>> {
    const used = new Map<Hash, number>();
    const text = await readFile(join(this.#folder, 'used'), 'latin1').catch(() => '');
    for (const line of text.split('\n')) {
      const [hash = '', at = ''] = line.split(' ');
      if (HASH.test(hash) && /^\d{1,15}$/.test(at)) used.set(hash, Number(at));
    }
    return used;
  }

  async #saveUsed(): Promise<void> {
    const text = Array.from(this.#items, ([hash, item]) => `${hash} ${Math.floor(item.used)}\n`);
    const temporary = this.#temporary();
    // Losing it costs the order of eviction only.
    await attempt('used', async () => {
      await writeFile(temporary, text.join(''), { mode: 0o600 });
      await rename(temporary, join(this.#folder, 'used'));
    });
  }
}
