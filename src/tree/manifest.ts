/** The manifest of a root: what is at each path. Both ends of sync speak in these terms. */

/**
 * A path relative to its root, bytes decoded as latin1 (one char a byte), `/` between parts, no leading `./`;
 * '' is the root folder itself. So any byte a file system allows survives as a Map key.
 */
export type RawPath = string;

/** A hash as 64 lower-case hex digits (BLAKE3-256 of the content). */
export type Hash = string;

/** Times are ns since the epoch; `mode` is the lower 12 bits of st_mode. */
export type Entry =
  | {
      readonly kind: 'file';
      readonly mode: number;
      readonly size: number;
      readonly mtime: bigint;
      readonly hash: Hash;
    }
  | { readonly kind: 'symlink'; readonly target: RawPath; readonly mtime: bigint }
  | { readonly kind: 'dir'; readonly mode: number; readonly mtime: bigint }
  /** The same inode as the file at `to`, which sorts before it. */
  | { readonly kind: 'hardlink'; readonly to: RawPath };

export type Manifest = Map<RawPath, Entry>;

/** One difference between two manifests. */
export type Change =
  | { readonly op: 'put'; readonly path: RawPath; readonly entry: Entry }
  | { readonly op: 'gone'; readonly path: RawPath };
