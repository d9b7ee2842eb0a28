/**
 * BLAKE3 of one file, by plain synchronous calls. The source text of hashOne also runs in worker threads
 * (hash.ts), where nothing is imported: all it needs comes in through its arguments.
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

/** Opens, reads and hashes; `changed` when the file is not what was wanted, before or after it was read. */
export function hashOne(tools: Tools, request: HashOneRequest): HashOneOutcome {
  const { fs, blake, block, zeros } = tools;
  const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  const held: number[] = [];
  /** open(2) takes 4095 bytes: a longer path is opened folder by folder. */
  const open = (path: Buffer): number => {
    let rest = path;
    while (rest.length > 4000) {
      const cut = rest.lastIndexOf(0x2f, 4000);
      held.push(fs.openSync(rest.subarray(0, cut), fs.constants.O_DIRECTORY));
      rest = Buffer.concat([Buffer.from(`/proc/self/fd/${held.at(-1) ?? 0}`), rest.subarray(cut)]);
    }
    return held[held.push(fs.openSync(rest, flags)) - 1] ?? -1;
  };
  const stat = (fd: number): Numbers => {
    const st = fs.fstatSync(fd, { bigint: true });
    return [st.dev, st.ino, st.size, st.mtimeNs, st.ctimeNs, st.mode & 0o7777n];
  };
  const same = (a: Numbers, b: Numbers): boolean => a.every((value, i) => value === b[i]);
  const grew = (a: Numbers, b: Numbers): boolean =>
    request.growing && a[0] === b[0] && a[1] === b[1] && b[2] > a[2];
  try {
    const fd = open(request.path);
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
