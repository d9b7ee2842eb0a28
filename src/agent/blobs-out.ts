/** Sends contents of a tree to the link, packed where that makes them arrive sooner. */
import { performance } from 'node:perf_hooks';
import { fail, ok, type Result } from '../base/result.ts';
import type { Packer } from '../protocol/blob-packer.ts';
import { packRun } from '../protocol/pieces.ts';
import { type Outline, Stretches, type Stretch } from '../tree/chunks.ts';
import { PIECE, readParts } from '../tree/content.ts';
import type { Range } from '../tree/holes.ts';
import type { Hash } from '../tree/manifest.ts';
import { AgentStream } from './stream.ts';

/** Bytes of the pieces of a part. */
const PART_PIECE = 128 * 1024;
/** What is shorter, bytes, is read without a question after its holes. */
const WORTH_MAPPING = 16 << 20;

export type Content = { readonly hash: Hash; readonly size: number; readonly path: Buffer };

export type OutNeeds = {
  /** Each piece goes on one of them. */
  readonly streams: readonly AgentStream[];
  readonly packer: Packer;
  /** Where a file holds data (src/tree/fs-helper.ts). */
  readonly extents: (path: Buffer) => Promise<readonly Range[] | undefined>;
};

const HASH_BYTES = 32;
const NO_BASE = Buffer.alloc(0);

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

/** What the receiver has, by its hash, and may copy from. */
export type Base = { readonly hash: Buffer; readonly outline: Outline };

/** How a content is sent: from `offset` to `end`, in pieces of at most `piece` bytes. */
type Way = {
  readonly offset: number;
  readonly end: number;
  readonly piece: number;
  readonly base?: Base | undefined;
};

/** Sends one content; fails when it cannot be read or has another size than it had. Its hash the receiver checks. */
export function sendContent(content: Content, by: OutNeeds): Promise<Result<undefined>> {
  return sendWay(content, { offset: 0, end: content.size, piece: PIECE }, by);
}

/** Sends a part of one content, in pieces so small that others of the stream hardly wait. */
export function sendPart(
  content: Content,
  part: { readonly offset: number; readonly length: number; readonly base?: Base | undefined },
  by: OutNeeds,
): Promise<Result<undefined>> {
  const { offset, base } = part;
  const end = offset + part.length;
  if (end > content.size) return Promise.resolve(fail('a part beyond the end of its content'));
  if (base !== undefined) return sendWay(content, { offset, end, piece: PIECE, base }, by);
  return sendWay(content, { offset, end, piece: PART_PIECE }, by);
}

async function sendWay(content: Content, way: Way, by: OutNeeds): Promise<Result<undefined>> {
  const { offset, end, piece, base } = way;
  const hash = Buffer.from(content.hash, 'hex');
  const stretches = new Stretches(base?.outline);
  let at = offset;
  const give = async (part: Stretch): Promise<boolean> => {
    const packed = part.kind === 'bytes' ? by.packer.pack(part.data) : packRun(part);
    const began = performance.now();
    const alive = await AgentStream.sendStriped(by.streams, {
      type: 'blob',
      hash,
      size: BigInt(content.size),
      offset: BigInt(at),
      codec: packed.codec,
      base: part.kind === 'copy' && base !== undefined ? base.hash : NO_BASE,
      data: packed.data,
    });
    if (part.kind === 'bytes') by.packer.sent(packed.data.length, performance.now() - began);
    at += part.kind === 'bytes' ? part.data.length : part.length;
    return alive;
  };
  const giveAll = async (all: readonly Stretch[]): Promise<boolean> => {
    for (const stretch of all) if (!(await give(stretch))) return false;
    return true;
  };
  const data = end - offset < WORTH_MAPPING ? undefined : await by.extents(content.path);
  // Nothing at all is one empty piece.
  const read =
    end === offset
      ? ok(await give({ kind: 'bytes', data: Buffer.alloc(0) }))
      : await readParts(
          { path: content.path, own: true, start: offset, size: end, piece, data },
          (part) => giveAll(stretches.push(part)),
        );
  if (!read.ok) return read;
  return read.value && (await giveAll(stretches.flush()))
    ? ok(undefined)
    : fail('the connection was lost');
}
