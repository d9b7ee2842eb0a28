/** Sends contents of a tree to the link, packed where that makes them arrive sooner. */
import { performance } from 'node:perf_hooks';
import { fail, ok, type Result } from '../base/result.ts';
import type { BlobPacker } from '../protocol/blob-packer.ts';
import { packRun } from '../protocol/pieces.ts';
import { type Part, PIECE, readParts } from '../tree/content.ts';
import type { Range } from '../tree/holes.ts';
import type { Hash } from '../tree/manifest.ts';
import type { AgentStream } from './stream.ts';

/** Bytes of the pieces of a part. */
const PART_PIECE = 128 * 1024;
/** What is shorter, bytes, is read without a question after its holes. */
const WORTH_MAPPING = 16 << 20;

export type Content = { readonly hash: Hash; readonly size: number; readonly path: Buffer };

export type OutNeeds = {
  readonly stream: AgentStream;
  readonly packer: BlobPacker;
  /** Where a file holds data (src/tree/fs-helper.ts). */
  readonly extents: (path: Buffer) => Promise<readonly Range[] | undefined>;
};

const HASH_BYTES = 32;

/** The contents that a list of hashes names, of those `offered`; undefined when one of them is not. */
export function namedIn(
  hashes: Buffer,
  offered: ReadonlyMap<Hash, Content>,
): Content[] | undefined {
  const named: Content[] = [];
  for (let at = 0; at < hashes.length; at += HASH_BYTES) {
    const content = offered.get(hashes.toString('hex', at, at + HASH_BYTES));
    if (content === undefined) return undefined;
    named.push(content);
  }
  return named;
}

/** How a content is sent: from `offset` to `end`, in pieces of at most `piece` bytes. */
type Way = { readonly offset: number; readonly end: number; readonly piece: number };

/** Sends one content; fails when it cannot be read or has another size than it had. Its hash the receiver checks. */
export function sendContent(content: Content, by: OutNeeds): Promise<Result<undefined>> {
  return sendWay(content, { offset: 0, end: content.size, piece: PIECE }, by);
}

/** Sends a part of one content, in pieces so small that others of the stream hardly wait. */
export function sendPart(
  content: Content,
  part: { readonly offset: number; readonly length: number },
  by: OutNeeds,
): Promise<Result<undefined>> {
  const end = part.offset + part.length;
  if (end > content.size) return Promise.resolve(fail('a part beyond the end of its content'));
  return sendWay(content, { offset: part.offset, end, piece: PART_PIECE }, by);
}

async function sendWay(content: Content, way: Way, by: OutNeeds): Promise<Result<undefined>> {
  const { offset, end, piece } = way;
  const hash = Buffer.from(content.hash, 'hex');
  let at = offset;
  const give = async (part: Part): Promise<boolean> => {
    const packed = part.kind === 'bytes' ? by.packer.pack(part.data) : packRun(part);
    const began = performance.now();
    const alive = await by.stream.sendAndDrain({
      type: 'blob',
      hash,
      size: BigInt(content.size),
      offset: BigInt(at),
      codec: packed.codec,
      base: Buffer.alloc(0),
      data: packed.data,
    });
    if (part.kind === 'bytes') by.packer.sent(packed.data.length, performance.now() - began);
    at += part.kind === 'bytes' ? part.data.length : part.length;
    return alive;
  };
  const data = end - offset < WORTH_MAPPING ? undefined : await by.extents(content.path);
  // Nothing at all is one empty piece.
  const read =
    end === offset
      ? ok(await give({ kind: 'bytes', data: Buffer.alloc(0) }))
      : await readParts({ path: content.path, start: offset, size: end, piece, data }, give);
  if (!read.ok) return read;
  return read.value ? ok(undefined) : fail('the connection was lost');
}
