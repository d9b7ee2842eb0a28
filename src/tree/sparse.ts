/** Writing files without storing their zeros: holes stay holes. */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { messageOf, ok, fail, type Result } from '../base/result.ts';
import { PIECE } from './content.ts';
import type { Hash } from './manifest.ts';

/** What is looked at as a whole: shorter runs of zeros are written. */
const GRAIN = 64 << 10;
/** Bytes read at once at least: what says that it is empty may hold more. */
const LEAST_READ = 4096;
const zeros = Buffer.alloc(GRAIN);

const isZero = (data: Buffer): boolean => data.equals(zeros.subarray(0, data.length));

async function writeAll(handle: FileHandle, data: Buffer, offset: number): Promise<void> {
  for (let at = 0; at < data.length;) {
    const { bytesWritten } = await handle.write(data, at, data.length - at, offset + at);
    at += bytesWritten;
  }
}

/**
 * Writes `data` at `offset` of a file in which nothing was written there yet; grains of zeros are left out, so the
 * caller must at last set the file's length.
 */
export async function writeSparse(handle: FileHandle, data: Buffer, offset: number): Promise<void> {
  let from = 0;
  for (let at = 0; at < data.length; at += GRAIN) {
    const grain = data.subarray(at, at + GRAIN);
    if (grain.length < GRAIN || !isZero(grain)) continue;
    if (at > from) await writeAll(handle, data.subarray(from, at), offset + from);
    from = at + GRAIN;
  }
  if (from < data.length) await writeAll(handle, data.subarray(from), offset + from);
}

/** Copies a file to `to`, which must not exist, as 0400, and hashes it on the way. */
export async function copySparse(
  from: Buffer,
  to: string,
): Promise<Result<{ hash: Hash; size: number }>> {
  let source: FileHandle | undefined;
  let target: FileHandle | undefined;
  try {
    source = await open(from, 'r');
    target = await open(to, 'wx', 0o400);
    const hasher = new Blake3Hasher();
    // A byte more, so that a small file is read, and found to be over, at once.
    const block = Buffer.allocUnsafe(
      Math.min(PIECE, Math.max(LEAST_READ, (await source.stat()).size + 1)),
    );
    let size = 0;
    for (;;) {
      const { bytesRead } = await source.read(block, 0, block.length, size);
      if (bytesRead === 0) break;
      const data = block.subarray(0, bytesRead);
      hasher.update(data);
      await writeSparse(target, data, size);
      size += bytesRead;
    }
    await target.truncate(size);
    return ok({ hash: hasher.digestBuffer().toString('hex'), size });
  } catch (thrown) {
    return fail(`${from.toString()} cannot be copied: ${messageOf(thrown)}`);
  } finally {
    await source?.close();
    await target?.close();
  }
}
