/** Keeps the last 4 KiB of a stream, for messages; the stream is always read to its end. */
import type { Readable } from 'node:stream';

const KEPT = 4096;

export function tailOf(stream: Readable): () => string {
  let kept = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-KEPT);
  });
  stream.on('error', () => undefined);
  return () => kept.toString('utf8').trim();
}
