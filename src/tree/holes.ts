/** Runs of zeros: found, hashed and passed on without being carried. */
import type { Blake3Hasher } from '@napi-rs/blake-hash';

/** A stretch of a file that holds data: first byte, and the byte after its last. What lies between is a hole. */
export type Range = readonly [from: number, to: number];

const BLOCK = 1 << 20;
const zeros = Buffer.alloc(BLOCK);
/** Zeros hashed in one turn of the event loop, bytes. */
const TURN = 32 * BLOCK;

/** Whether `data`, of at most 1 MiB, holds nothing but zeros. */
export function isZero(data: Buffer): boolean {
  return data.equals(zeros.subarray(0, data.length));
}

/** Feeds `length` zeros to a hash. */
export async function hashZeros(hasher: Blake3Hasher, length: number): Promise<void> {
  for (let at = 0; at < length; at += BLOCK) {
    if (at > 0 && at % TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    hasher.update(zeros.subarray(0, Math.min(BLOCK, length - at)));
  }
}

/** How far a file of `size` bytes goes on at `at` in the same way: as data, or as a hole. */
export function runAt(
  data: readonly Range[] | undefined,
  at: number,
  size: number,
): { readonly hole: boolean; readonly end: number } {
  if (data === undefined) return { hole: false, end: size };
  let [low, high] = [0, data.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((data[middle]?.[1] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  const [from, to] = data[low] ?? [size, size];
  return at < from
    ? { hole: true, end: Math.min(from, size) }
    : { hole: false, end: Math.min(to, size) };
}
