/**
 * Changes in the binary form in which they travel. What comes in is checked as if an enemy had sent it.
 *
 * A part is a u8 version, then records, each by itself readable with the part's earlier ones:
 * ```
 * u8 tag, u16 bytes of the path shared with the previous record, u16 further bytes, those bytes
 * file:     u16 mode, u64 size, i64 mtime, 32 bytes hash
 * symlink:  i64 mtime, u16 length, target
 * dir:      u16 mode, i64 mtime
 * hardlink: u16 length, path of its file
 * ```
 * Integers are little-endian; times are ns since the epoch.
 */
import { fail, never, ok, type Result } from '../base/result.ts';
import type { Change, Entry, RawPath } from './manifest.ts';
import { pathFault, shown, targetFault, upwards } from './paths.ts';

const VERSION = 1;
const Tag = { gone: 0, file: 1, symlink: 2, dir: 3, hardlink: 4 } as const;
const HASH_BYTES = 32;
/** More than any record needs: two paths of 4096 bytes and the fixed fields. */
const MOST = 3 * 4096;

function shared(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a.charCodeAt(n) === b.charCodeAt(n)) n++;
  return n;
}

function putText(buffer: Buffer, text: string, at: number): number {
  const next = buffer.writeUInt16LE(text.length, at);
  return next + buffer.write(text, next, 'latin1');
}

function putEntry(buffer: Buffer, entry: Entry, start: number): number {
  let at = start;
  switch (entry.kind) {
    case 'file':
      at = buffer.writeUInt16LE(entry.mode, at);
      at = buffer.writeBigUInt64LE(BigInt(entry.size), at);
      at = buffer.writeBigInt64LE(entry.mtime, at);
      return at + buffer.write(entry.hash, at, HASH_BYTES, 'hex');
    case 'symlink':
      at = buffer.writeBigInt64LE(entry.mtime, at);
      return putText(buffer, entry.target, at);
    case 'dir':
      at = buffer.writeUInt16LE(entry.mode, at);
      return buffer.writeBigInt64LE(entry.mtime, at);
    case 'hardlink':
      return putText(buffer, entry.to, at);
    default:
      return never(entry);
  }
}

/** Packs changes into parts of about `partBytes`; there is always at least one. */
export function packChanges(changes: Iterable<Change>, partBytes = 1 << 20): Buffer[] {
  const parts: Buffer[] = [];
  const room = partBytes + MOST;
  let buffer = Buffer.allocUnsafe(room);
  let at = buffer.writeUInt8(VERSION, 0);
  let previous: RawPath = '';
  for (const change of changes) {
    if (at >= partBytes) {
      parts.push(buffer.subarray(0, at));
      buffer = Buffer.allocUnsafe(room);
      at = buffer.writeUInt8(VERSION, 0);
      previous = '';
    }
    const common = shared(previous, change.path);
    at = buffer.writeUInt8(change.op === 'gone' ? Tag.gone : Tag[change.entry.kind], at);
    at = buffer.writeUInt16LE(common, at);
    at = putText(buffer, common === 0 ? change.path : change.path.slice(common), at);
    if (change.op === 'put') at = putEntry(buffer, change.entry, at);
    previous = change.path;
  }
  parts.push(buffer.subarray(0, at));
  return parts;
}

class Malformed extends Error {}

type Reader = { readonly buffer: Buffer; at: number };

function take(reader: Reader, bytes: number): number {
  const at = reader.at;
  if (bytes > reader.buffer.length - at) throw new Malformed('is cut short');
  reader.at += bytes;
  return at;
}

function takeU16(reader: Reader): number {
  return reader.buffer.readUInt16LE(take(reader, 2));
}

function takeText(reader: Reader): string {
  const length = takeU16(reader);
  const at = take(reader, length);
  return reader.buffer.toString('latin1', at, at + length);
}

function takeTime(reader: Reader): bigint {
  return reader.buffer.readBigInt64LE(take(reader, 8));
}

function takeMode(reader: Reader): number {
  const mode = takeU16(reader);
  if (mode > 0o7777) throw new Malformed(`has mode ${mode.toString(8)}`);
  return mode;
}

function takeFile(reader: Reader): Entry {
  const mode = takeMode(reader);
  const size = reader.buffer.readBigUInt64LE(take(reader, 8));
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed(`has ${size.toString()} bytes`);
  const mtime = takeTime(reader);
  const at = take(reader, HASH_BYTES);
  const hash = reader.buffer.toString('hex', at, at + HASH_BYTES);
  return { kind: 'file', mode, size: Number(size), mtime, hash };
}

function takeSymlink(reader: Reader): Entry {
  const mtime = takeTime(reader);
  const target = takeText(reader);
  const fault = targetFault(target);
  if (fault !== undefined) throw new Malformed(`is a symlink whose target ${fault}`);
  return { kind: 'symlink', target, mtime };
}

function takeHardlink(reader: Reader, path: RawPath): Entry {
  const to = takeText(reader);
  const fault = pathFault(to);
  if (fault !== undefined) throw new Malformed(`is a hard link to a path that ${fault}`);
  if (to >= path) throw new Malformed('is a hard link to a file that does not sort before it');
  return { kind: 'hardlink', to };
}

function takeEntry(reader: Reader, tag: number, path: RawPath): Entry {
  switch (tag) {
    case Tag.file:
      return takeFile(reader);
    case Tag.symlink:
      return takeSymlink(reader);
    case Tag.dir: {
      const mode = takeMode(reader);
      return { kind: 'dir', mode, mtime: takeTime(reader) };
    }
    case Tag.hardlink:
      return takeHardlink(reader, path);
    default:
      throw new Malformed(`has the unknown tag ${tag}`);
  }
}

function takePath(reader: Reader, previous: RawPath): RawPath {
  const common = takeU16(reader);
  if (common > previous.length) throw new Malformed('shares more than its predecessor has');
  const path = previous.slice(0, common) + takeText(reader);
  const fault = path === '' ? undefined : pathFault(path);
  if (fault !== undefined) throw new Malformed(fault);
  return path;
}

/** Reads one part; it fails with the first thing that is wrong in it. */
export function unpackChanges(part: Buffer): Result<Change[]> {
  const reader: Reader = { buffer: part, at: 0 };
  const changes: Change[] = [];
  let path: RawPath = '';
  try {
    if (part.length === 0) throw new Malformed('is cut short');
    const version = part.readUInt8(take(reader, 1));
    if (version !== VERSION) throw new Malformed(`is of the unknown version ${version}`);
    while (reader.at < part.length) {
      const tag = part.readUInt8(take(reader, 1));
      path = takePath(reader, path);
      if (path === '' && tag !== Tag.dir) throw new Malformed('makes the root something else');
      if (tag === Tag.gone) changes.push({ op: 'gone', path });
      else changes.push({ op: 'put', path, entry: takeEntry(reader, tag, path) });
    }
  } catch (thrown) {
    if (!(thrown instanceof Malformed)) throw thrown;
    return fail(`change ${changes.length} after ${shown(path) || 'the start'} ${thrown.message}`);
  }
  const checked = checkChanges(changes);
  return checked.ok ? ok(changes) : checked;
}

/**
 * Checks what needs the whole list, so call it again on the parts of a list put together: no path comes twice,
 * nothing is put below what is put as anything but a folder, or below what is gone.
 */
export function checkChanges(changes: readonly Change[]): Result<void> {
  const blocked = new Set<RawPath>();
  const seen = new Set<RawPath>();
  for (const change of changes) {
    if (seen.has(change.path)) return fail(`${shown(change.path)} comes twice`);
    seen.add(change.path);
    if (change.op === 'gone' || change.entry.kind !== 'dir') blocked.add(change.path);
  }
  if (blocked.size === 0) return ok(undefined);
  for (const change of changes) {
    if (change.op === 'gone') continue;
    for (const above of upwards(change.path))
      if (above !== change.path && blocked.has(above))
        return fail(`${shown(change.path)} lies below what is not a folder`);
  }
  return ok(undefined);
}
