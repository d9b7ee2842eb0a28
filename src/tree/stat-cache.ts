/**
 * Hashes that survive a restart: a file of what each path was when it was hashed.
 *
 * ```
 * 8 bytes magic, 32 bytes BLAKE3 of the rest, then records:
 * u16 length, path, stat (src/tree/scan.ts), 32 bytes hash
 * ```
 * A file that is torn, of another version or not there counts as empty.
 */
import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { hashBytes } from './hash.ts';
import type { Hash, RawPath } from './manifest.ts';
import { type Identity, readStat, STAT_BYTES, writeStat } from './scan.ts';

const MAGIC = Buffer.from('RCHSTAT1', 'latin1');
const HEAD = MAGIC.length + 32;
const FIXED = 2 + STAT_BYTES + 32;

export type Known = { readonly identity: Identity; readonly hash: Hash };

/** What the file holds; empty when it cannot be trusted. */
export function readStatCache(file: string): Map<RawPath, Known> {
  const known = new Map<RawPath, Known>();
  let data: Buffer;
  try {
    data = readFileSync(file);
  } catch {
    return known;
  }
  if (data.length < HEAD || !data.subarray(0, MAGIC.length).equals(MAGIC)) return known;
  const body = data.subarray(HEAD);
  if (hashBytes(body) !== data.toString('hex', MAGIC.length, HEAD)) return known;
  for (let at = 0; at < body.length;) {
    const from = at + 2;
    const to = from + body.readUInt16LE(at);
    const identity = readStat(body, to);
    const hash = body.toString('hex', to + STAT_BYTES, to + STAT_BYTES + 32);
    known.set(body.toString('latin1', from, to), { identity, hash });
    at = to + STAT_BYTES + 32;
  }
  return known;
}

/** Replaces the file as a whole. */
export async function writeStatCache(
  file: string,
  known: ReadonlyMap<RawPath, Known>,
): Promise<Result<void>> {
  let bytes = HEAD;
  for (const path of known.keys()) bytes += FIXED + path.length;
  const data = Buffer.alloc(bytes);
  let at = HEAD;
  for (const [path, { identity, hash }] of known) {
    at = data.writeUInt16LE(path.length, at);
    at += data.write(path, at, 'latin1');
    at = writeStat(data, identity, at);
    at += data.write(hash, at, 'hex');
  }
  MAGIC.copy(data);
  data.write(hashBytes(data.subarray(HEAD)), MAGIC.length, 'hex');
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(temporary, data, { mode: 0o600 });
    await rename(temporary, file);
    return ok(undefined);
  } catch (thrown) {
    await rm(temporary, { force: true });
    return fail(`the stat cache ${file} cannot be written: ${messageOf(thrown)}`);
  }
}
