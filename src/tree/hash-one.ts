/**
 * BLAKE3 of one file, by plain synchronous calls. The source text of these functions also runs in worker
 * threads (hash-threads.ts), where nothing is imported: all they need comes in through their arguments.
 */
import type * as FileSystem from 'node:fs';

export type Blake = {
  readonly blake3: (data: Uint8Array) => Buffer;
  readonly Blake3Hasher: new () => { update(data: Uint8Array): unknown; digestBuffer(): Buffer };
};

/** dev, ino, size, mtime, ctime, mode. */
export type Numbers = readonly [bigint, bigint, bigint, bigint, bigint, bigint];

export type Tools = {
  readonly fs: typeof FileSystem;
  readonly openOwn: typeof openOwn;
  readonly openHeld: typeof openHeld;
  readonly blake: Blake;
  /** What is read into. */
  readonly block: Buffer;
  /** As long, and zero. */
  readonly zeros: Buffer;
};

export type HashOneRequest = {
  /** Absolute. */
  readonly path: Buffer;
  /** What the file must be; undefined: whatever is there. */
  readonly want: Numbers | undefined;
  /** Where its owner, who we are, may not read it, it is opened all the same. */
  readonly own: boolean;
  /** A file that only grows is taken as it was at first (a log somebody writes all the time). */
  readonly growing: boolean;
  /** Where it holds data (src/tree/holes.ts), when that was looked up: the rest is zeros and not read. */
  readonly data?: readonly (readonly [from: number, to: number])[] | undefined;
};

export type HashOneOutcome =
  | { readonly outcome: 'hashed'; readonly hash: string; readonly size: number }
  | { readonly outcome: 'changed' }
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'unreadable'; readonly code: string };

/**
 * Opens for reading what its owner may not read (mode 0): its mode is another for a moment, so that its ctime changes. Throws
 * where it is no file of ours.
 */
export function openOwn(fs: typeof FileSystem, path: Buffer): number {
  const O_PATH = 0o10000000;
  const pinned = fs.openSync(path, O_PATH | fs.constants.O_NOFOLLOW);
  try {
    const { mode, uid } = fs.fstatSync(pinned);
    const isFile = (mode & fs.constants.S_IFMT) === fs.constants.S_IFREG;
    if (!isFile || uid !== process.geteuid?.())
      throw Object.assign(new Error('it is no file of ours'), { code: 'EACCES' });
    // What it was opened as stands for it, whatever its name means by now.
    const itself = `/proc/self/fd/${pinned}`;
    fs.chmodSync(itself, (mode & 0o7777) | 0o400);
    try {
      return fs.openSync(itself, fs.constants.O_RDONLY);
    } finally {
      fs.chmodSync(itself, mode & 0o7777);
    }
  } finally {
    fs.closeSync(pinned);
  }
}

/** Opens a file; what it opens is added to `held`, the file last. The value is whether its mode forbade it. */
export function openHeld(
  { fs, openOwn: force }: Pick<Tools, 'fs' | 'openOwn'>,
  { path, own }: Pick<HashOneRequest, 'path' | 'own'>,
  held: number[],
): boolean {
  const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  let rest = path;
  // open(2) takes 4095 bytes: a longer path is opened folder by folder.
  while (rest.length > 4000) {
    const cut = rest.lastIndexOf(0x2f, 4000);
    held.push(fs.openSync(rest.subarray(0, cut), fs.constants.O_DIRECTORY));
    rest = Buffer.concat([Buffer.from(`/proc/self/fd/${held.at(-1) ?? 0}`), rest.subarray(cut)]);
  }
  try {
    held.push(fs.openSync(rest, flags));
    return false;
  } catch (thrown) {
    if (!own || (thrown as NodeJS.ErrnoException).code !== 'EACCES') throw thrown;
    held.push(force(fs, rest));
    return true;
  }
}

/** Opens, reads and hashes; `changed` when the file is not what was wanted, before or after it was read. */
export function hashOne(tools: Tools, request: HashOneRequest): HashOneOutcome {
  const { fs, blake, block, zeros } = tools;
  const held: number[] = [];
  let forced = false;
  const stat = (fd: number): Numbers => {
    const st = fs.fstatSync(fd, { bigint: true });
    return [st.dev, st.ino, st.size, st.mtimeNs, st.ctimeNs, st.mode & 0o7777n];
  };
  const ctime = 4;
  const same = (a: Numbers, b: Numbers): boolean =>
    a.every((value, i) => value === b[i] || (forced && i === ctime));
  const grew = (a: Numbers, b: Numbers): boolean =>
    request.growing && a[0] === b[0] && a[1] === b[1] && b[2] > a[2];
  try {
    forced = tools.openHeld(tools, request, held);
    const fd = held.at(-1) ?? -1;
    const before = stat(fd);
    const first = request.want ?? before;
    if (!same(first, before) && !grew(first, before)) return { outcome: 'changed' };
    const size = Number(first[2]);
    const hasher = size > block.length ? new blake.Blake3Hasher() : undefined;
    const ranges = hasher === undefined ? undefined : request.data;
    let [at, range] = [0, 0];
    while (at < size) {
      const start = hasher === undefined ? at : 0;
      let most = Math.min(block.length - start, size - at);
      if (ranges !== undefined) {
        while ((ranges[range]?.[1] ?? size) <= at && range < ranges.length) range++;
        const [from, to] = ranges[range] ?? [size, size];
        if (at < from) {
          most = Math.min(most, from - at);
          hasher?.update(zeros.subarray(0, most));
          at += most;
          continue;
        }
        most = Math.min(most, to - at);
      }
      const n = fs.readSync(fd, block, start, most, at);
      if (n === 0) return { outcome: 'changed' };
      hasher?.update(block.subarray(0, n));
      at += n;
    }
    const after = stat(fd);
    if (!same(first, after) && !grew(first, after)) return { outcome: 'changed' };
    const hash = (hasher?.digestBuffer() ?? blake.blake3(block.subarray(0, size))).toString('hex');
    return { outcome: 'hashed', hash, size };
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code ?? 'EIO';
    if (code === 'ENOENT' || code === 'ENOTDIR') return { outcome: 'gone' };
    return code === 'ELOOP' ? { outcome: 'changed' } : { outcome: 'unreadable', code };
  } finally {
    for (const fd of held) fs.closeSync(fd);
  }
}
