/**
 * What `rch-fs` tells of a tree: the records of a `scanned` message (src/protocol/fs.ts), little-endian:
 * ```
 * u8 tag: 0 gone, 1 file, 2 dir, 3 symlink, 4 special, 5 unreadable, 6 temp;  u32 length, path
 * file, dir, symlink:  stat, u8 racy; a symlink then has u32 length, target
 * special, unreadable: u32 detail (S_IFMT of st_mode, 0 for a foreign file system; errno)
 * stat: u64 dev, u64 ino, u64 size, i64 mtime, i64 ctime, u32 mode (lower 12 bits), u32 nlink
 * ```
 */
import { fail, ok, type Result } from '../base/result.ts';
import type { RawPath } from './manifest.ts';

/** What says, without reading it, that a file is still the same one. Times in ns since the epoch. */
export type Identity = {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: number;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly mode: number;
  readonly nlink: number;
};

/** What cannot be carried: `mount` is a file system made by the kernel (proc, sysfs) inside the root. */
export type SpecialKind = 'fifo' | 'socket' | 'device' | 'mount';

export type ScanRecord =
  | { readonly kind: 'gone'; readonly path: RawPath }
  | {
      readonly kind: 'file' | 'dir';
      readonly path: RawPath;
      readonly identity: Identity;
      /** Its times are so near the scan that a later change may not move them. */
      readonly racy: boolean;
    }
  | {
      readonly kind: 'symlink';
      readonly path: RawPath;
      readonly identity: Identity;
      readonly racy: boolean;
      readonly target: RawPath;
    }
  | { readonly kind: 'special'; readonly path: RawPath; readonly what: SpecialKind }
  | { readonly kind: 'unreadable'; readonly path: RawPath; readonly errno: number }
  /** A temporary of ours that a killed process left behind. */
  | { readonly kind: 'temp'; readonly path: RawPath };

/** True when nothing that a change would move has moved. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.ctime === b.ctime && sameButCtime(a, b);
}

/** The same, for a file whose names were changed meanwhile (rename and link move ctime). */
export function sameButCtime(a: Identity, b: Identity): boolean {
  return (
    a.ino === b.ino &&
    a.mtime === b.mtime &&
    a.size === b.size &&
    a.dev === b.dev &&
    a.mode === b.mode
  );
}

/** Bytes of a packed stat. */
export const STAT_BYTES = 48;

/** Reads a packed stat at `at`, which the caller has found to be there. */
export function readStat(buffer: Buffer, at: number): Identity {
  return {
    dev: buffer.readBigUInt64LE(at),
    ino: buffer.readBigUInt64LE(at + 8),
    size: Number(buffer.readBigUInt64LE(at + 16)),
    mtime: buffer.readBigInt64LE(at + 24),
    ctime: buffer.readBigInt64LE(at + 32),
    mode: buffer.readUInt32LE(at + 40),
    nlink: buffer.readUInt32LE(at + 44),
  };
}

/** Packs a stat at `at` and returns where it ends. */
export function writeStat(buffer: Buffer, identity: Identity, at: number): number {
  buffer.writeBigUInt64LE(identity.dev, at);
  buffer.writeBigUInt64LE(identity.ino, at + 8);
  buffer.writeBigUInt64LE(BigInt(identity.size), at + 16);
  buffer.writeBigInt64LE(identity.mtime, at + 24);
  buffer.writeBigInt64LE(identity.ctime, at + 32);
  buffer.writeUInt32LE(identity.mode, at + 40);
  return buffer.writeUInt32LE(identity.nlink, at + 44);
}

function special(format: number): SpecialKind {
  switch (format) {
    case 0:
      return 'mount';
    case 0o010000:
      return 'fifo';
    case 0o140000:
      return 'socket';
    default:
      return 'device';
  }
}

type Text = { readonly text: string; readonly end: number };

function textAt(buffer: Buffer, at: number): Text {
  const start = at + 4;
  const end = start + buffer.readUInt32LE(at);
  if (end > buffer.length) throw new RangeError('text beyond the end');
  return { text: buffer.toString('latin1', start, end), end };
}

function statRecord(buffer: Buffer, tag: number, path: Text): { record: ScanRecord; end: number } {
  const identity = readStat(buffer, path.end);
  const racy = buffer.readUInt8(path.end + STAT_BYTES) !== 0;
  const end = path.end + STAT_BYTES + 1;
  if (tag !== 3)
    return { record: { kind: tag === 1 ? 'file' : 'dir', path: path.text, identity, racy }, end };
  const target = textAt(buffer, end);
  return {
    record: { kind: 'symlink', path: path.text, identity, racy, target: target.text },
    end: target.end,
  };
}

function recordAt(buffer: Buffer, at: number): { record: ScanRecord; end: number } | undefined {
  const tag = buffer.readUInt8(at);
  const path = textAt(buffer, at + 1);
  switch (tag) {
    case 0:
      return { record: { kind: 'gone', path: path.text }, end: path.end };
    case 1:
    case 2:
    case 3:
      return statRecord(buffer, tag, path);
    case 4:
      return {
        record: { kind: 'special', path: path.text, what: special(buffer.readUInt32LE(path.end)) },
        end: path.end + 4,
      };
    case 5:
      return {
        record: { kind: 'unreadable', path: path.text, errno: buffer.readUInt32LE(path.end) },
        end: path.end + 4,
      };
    case 6:
      return { record: { kind: 'temp', path: path.text }, end: path.end };
    default:
      return undefined;
  }
}

/** Reads the records of one `scanned` message. */
export function readRecords(buffer: Buffer): Result<ScanRecord[]> {
  const records: ScanRecord[] = [];
  try {
    for (let at = 0; at < buffer.length;) {
      const read = recordAt(buffer, at);
      if (read === undefined) return fail(`scan record ${records.length} has an unknown tag`);
      records.push(read.record);
      at = read.end;
    }
  } catch (thrown) {
    if (thrown instanceof RangeError) return fail(`scan record ${records.length} is cut short`);
    throw thrown;
  }
  return ok(records);
}
