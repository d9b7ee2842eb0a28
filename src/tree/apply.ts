/**
 * What `rch-fs` is told to do to a tree, and what came of it. Operations of an `apply` message, little-endian:
 * ```
 * u8 op, u32 length, path, u8 guard (0 none, 1 absent, 2 identity + stat as in scan.ts), then
 * 1 file:     u32 mode, i64 mtime, u64 size, u8 content (0 inline, 1 copy, 2 link, 3 move), u32 length, data or absolute path
 * 2 symlink:  i64 mtime, u32 length, target
 * 3 dir:      nothing (a new one is 0700 until its dirMeta)
 * 4 dirMeta:  u32 mode, i64 mtime
 * 5 hardlink: u32 length, path of the file
 * 6 remove:   nothing
 * 7 meta:     u32 mode, i64 mtime
 * 8 stat:     nothing
 * 9 aside:    nothing
 * 10 special: u32 mode, i64 mtime, u8 kind (0 FIFO, 1 socket)
 * ```
 * Results of an `applied` message, one an operation: u8 outcome (0 done, 1 conflict, 2 failed, 3 skipped), u32 errno,
 * u8 has stat, stat or nothing, u32 length, path of the version kept beside (empty: none).
 */
import { fail, never, ok, type Result } from '../base/result.ts';
import type { RawPath } from './manifest.ts';
import { type Identity, readStat, STAT_BYTES, writeStat } from './scan.ts';

/**
 * What must be at a path for it to be replaced or removed. `none`: whatever is. An identity whose ctime is 0
 * is compared without it (hard links, whose ctime moves with their other names).
 */
export type Guard = 'none' | 'absent' | Identity;

/**
 * `copy` reflinks where the file system can; `link` may share the inode when mode and mtime allow it; `move` may take
 * the file itself, which is then gone from its path, whatever comes of the operation.
 */
export type Content =
  | { readonly from: 'inline'; readonly data: Buffer }
  | { readonly from: 'copy' | 'link' | 'move'; readonly path: Buffer };

/** Paths are relative to the root of the `apply`; no part of a parent may be a symlink. */
export type Operation =
  | {
      readonly op: 'file';
      readonly path: RawPath;
      readonly guard: Guard;
      readonly mode: number;
      readonly mtime: bigint;
      readonly size: number;
      readonly content: Content;
    }
  | {
      readonly op: 'symlink';
      readonly path: RawPath;
      readonly guard: Guard;
      readonly mtime: bigint;
      readonly target: RawPath;
    }
  | { readonly op: 'dir'; readonly path: RawPath; readonly guard: Guard }
  | {
      readonly op: 'dirMeta';
      readonly path: RawPath;
      readonly mode: number;
      readonly mtime: bigint;
    }
  | {
      readonly op: 'hardlink';
      readonly path: RawPath;
      readonly guard: Guard;
      readonly to: RawPath;
    }
  | { readonly op: 'remove'; readonly path: RawPath; readonly guard: Guard }
  /** Mode and mtime of a file that stays as it is. */
  | {
      readonly op: 'meta';
      readonly path: RawPath;
      readonly guard: Guard;
      readonly mode: number;
      readonly mtime: bigint;
    }
  | { readonly op: 'stat'; readonly path: RawPath };

/** It goes with all that is in it to the folder that `rch-fs` was given for that; only in trees that are ours. */
export type Aside = { readonly op: 'aside'; readonly path: RawPath };

/** A FIFO, or a socket that nobody listens on; no manifest and no journal knows of them. */
export type MakeSpecial = {
  readonly op: 'special';
  readonly path: RawPath;
  readonly guard: Guard;
  readonly kind: 'fifo' | 'socket';
  readonly mode: number;
  readonly mtime: bigint;
};

/** All that an `apply` may do. */
export type AnyOperation = Operation | Aside | MakeSpecial;

export type OperationResult =
  /** `identity`: of what is now at the path (none for a removal). */
  | { readonly outcome: 'done'; readonly identity: Identity | undefined }
  /** What is at the path stayed. `kept`: where the new version was put beside it. */
  | { readonly outcome: 'conflict'; readonly kept: RawPath | undefined }
  | { readonly outcome: 'failed'; readonly errno: number }
  /** An earlier operation of the list failed. */
  | { readonly outcome: 'skipped' };

const Op = {
  file: 1,
  symlink: 2,
  dir: 3,
  dirMeta: 4,
  hardlink: 5,
  remove: 6,
  meta: 7,
  stat: 8,
  aside: 9,
  special: 10,
} as const;
export const ContentKind = { inline: 0, copy: 1, link: 2, move: 3 } as const;
/** Bytes of the fixed fields of any operation, at most. */
const FIXED = 128;

/** Bytes an operation takes when packed, at most. */
export function operationBytes(operation: AnyOperation): number {
  const base = FIXED + operation.path.length;
  switch (operation.op) {
    case 'file':
      return (
        base +
        (operation.content.from === 'inline'
          ? operation.content.data.length
          : operation.content.path.length)
      );
    case 'symlink':
      return base + operation.target.length;
    case 'hardlink':
      return base + operation.to.length;
    case 'dir':
    case 'dirMeta':
    case 'remove':
    case 'meta':
    case 'stat':
    case 'aside':
    case 'special':
      return base;
    default:
      return never(operation);
  }
}

function putText(buffer: Buffer, text: RawPath, at: number): number {
  const next = buffer.writeUInt32LE(text.length, at);
  return next + buffer.write(text, next, 'latin1');
}

function putGuard(buffer: Buffer, guard: Guard, at: number): number {
  if (guard === 'none') return buffer.writeUInt8(0, at);
  if (guard === 'absent') return buffer.writeUInt8(1, at);
  return writeStat(buffer, guard, buffer.writeUInt8(2, at));
}

function putMeta(buffer: Buffer, meta: { mode: number; mtime: bigint }, at: number): number {
  return buffer.writeBigInt64LE(meta.mtime, buffer.writeUInt32LE(meta.mode, at));
}

function putOperation(buffer: Buffer, operation: AnyOperation, start: number): number {
  let at = buffer.writeUInt8(Op[operation.op], start);
  at = putText(buffer, operation.path, at);
  at = putGuard(buffer, 'guard' in operation ? operation.guard : 'none', at);
  switch (operation.op) {
    case 'file': {
      at = putMeta(buffer, operation, at);
      at = buffer.writeBigUInt64LE(BigInt(operation.size), at);
      at = buffer.writeUInt8(ContentKind[operation.content.from], at);
      const data =
        operation.content.from === 'inline' ? operation.content.data : operation.content.path;
      at = buffer.writeUInt32LE(data.length, at);
      return at + data.copy(buffer, at);
    }
    case 'symlink':
      return putText(buffer, operation.target, buffer.writeBigInt64LE(operation.mtime, at));
    case 'hardlink':
      return putText(buffer, operation.to, at);
    case 'dirMeta':
    case 'meta':
      return putMeta(buffer, operation, at);
    case 'special':
      return buffer.writeUInt8(operation.kind === 'fifo' ? 0 : 1, putMeta(buffer, operation, at));
    case 'dir':
    case 'remove':
    case 'stat':
    case 'aside':
      return at;
    default:
      return never(operation);
  }
}

/** Packs operations for one `apply` message. */
export function packOperations(operations: readonly AnyOperation[]): Buffer {
  const most = operations.reduce((sum, operation) => sum + operationBytes(operation), 0);
  const buffer = Buffer.allocUnsafe(most);
  let at = 0;
  for (const operation of operations) at = putOperation(buffer, operation, at);
  return buffer.subarray(0, at);
}

function resultAt(buffer: Buffer, at: number): { result: OperationResult; end: number } {
  const outcome = buffer.readUInt8(at);
  const errno = buffer.readUInt32LE(at + 1);
  const hasStat = buffer.readUInt8(at + 5) !== 0;
  const identity = hasStat ? readStat(buffer, at + 6) : undefined;
  const keptAt = at + 6 + (hasStat ? STAT_BYTES : 0);
  const end = keptAt + 4 + buffer.readUInt32LE(keptAt);
  if (end > buffer.length) throw new RangeError('a path beyond the end');
  const kept = buffer.toString('latin1', keptAt + 4, end);
  switch (outcome) {
    case 0:
      return { result: { outcome: 'done', identity }, end };
    case 1:
      return { result: { outcome: 'conflict', kept: kept === '' ? undefined : kept }, end };
    case 2:
      return { result: { outcome: 'failed', errno }, end };
    default:
      return { result: { outcome: 'skipped' }, end };
  }
}

/** Reads the results of one `applied` message. */
export function readResults(buffer: Buffer): Result<OperationResult[]> {
  const results: OperationResult[] = [];
  try {
    for (let at = 0; at < buffer.length;) {
      const read = resultAt(buffer, at);
      results.push(read.result);
      at = read.end;
    }
  } catch (thrown) {
    if (thrown instanceof RangeError) return fail(`result ${results.length} is cut short`);
    throw thrown;
  }
  return ok(results);
}
