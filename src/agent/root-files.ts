/**
 * What the agent keeps of one root beside the tree itself:
 * ```
 * meta.json   what is below; written anew by rename on every change
 * manifest    packed changes (src/tree/packed.ts), each after its u32 length; only the first `manifestBytes` count
 * stats       the stat cache of src/tree/tree.ts
 * t/          the tree
 * ```
 * An epoch of 0 says that nobody vouches for the tree; so does a boot since the last word, because files may have
 * been lost with the power.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Change, Manifest } from '../tree/manifest.ts';
import { packChanges, unpackChanges } from '../tree/packed.ts';

const rootMeta = z.object({
  version: z.literal(1),
  /** latin1-decoded bytes: where the tree stands for the caller. */
  path: z.string(),
  policy: z.number().int(),
  epoch: z.string().regex(/^\d{1,20}$/),
  manifestBytes: z.number().int(),
  /** Bytes of the files in the tree. */
  bytes: z.number(),
  /** ms since the epoch. */
  lastUse: z.number(),
  /** Relative folders that stay here whatever the other side has: pure caches of the tools. */
  caches: z.array(z.string()),
  /** Where the tree is when it is not `t/`: a real folder made by us at `path`, and its identity `DEV INO`. */
  standsAt: z.object({ path: z.string(), identity: z.string() }).optional(),
  boot: z.string(),
});
export type RootMeta = z.infer<typeof rootMeta>;

const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

export function newMeta(path: string, policy: number): RootMeta {
  return {
    version: 1,
    path,
    policy,
    epoch: '0',
    manifestBytes: 0,
    bytes: 0,
    lastUse: Date.now(),
    caches: [],
    boot: bootId,
  };
}

/** The meta in `folder`, or undefined when there is none that can be trusted. */
export function readMeta(folder: string): RootMeta | undefined {
  try {
    const meta = rootMeta.safeParse(JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8')));
    if (!meta.success) return undefined;
    return meta.data.boot === bootId ? meta.data : { ...meta.data, epoch: '0', boot: bootId };
  } catch {
    return undefined;
  }
}

export function writeMeta(folder: string, meta: RootMeta): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'meta.json');
  writeFileSync(`${path}.new`, JSON.stringify(meta), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** The manifest that the first `bytes` of the file make; undefined when they do not. */
export function readManifest(folder: string, bytes: number): Manifest | undefined {
  let file: Buffer;
  try {
    file = readFileSync(join(folder, 'manifest')).subarray(0, bytes);
  } catch {
    return undefined;
  }
  if (file.length !== bytes) return undefined;
  const changes: Change[][] = [];
  for (let at = 0; at < bytes;) {
    if (bytes - at < 4) return undefined;
    const end = at + 4 + file.readUInt32LE(at);
    const part = end <= bytes ? unpackChanges(file.subarray(at + 4, end)) : undefined;
    if (part?.ok !== true) return undefined;
    changes.push(part.value);
    at = end;
  }
  const manifest: Manifest = new Map();
  for (const part of changes)
    for (const change of part) {
      if (change.op === 'gone') manifest.delete(change.path);
      else manifest.set(change.path, change.entry);
    }
  return manifest;
}

function framed(changes: Iterable<Change>): Buffer {
  const parts = packChanges(changes).flatMap((part) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(part.length);
    return [head, part];
  });
  return Buffer.concat(parts);
}

/** Writes `manifest` anew; gives the bytes that count. */
export function writeManifest(folder: string, manifest: Manifest): number {
  const puts = function* (): Generator<Change> {
    for (const [path, entry] of manifest) yield { op: 'put', path, entry };
  };
  const bytes = framed(puts());
  const path = join(folder, 'manifest');
  writeFileSync(`${path}.new`, bytes, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return bytes.length;
}

/** Appends changes after the first `bytes`; gives the bytes that count now. */
export function appendChanges(folder: string, bytes: number, changes: Iterable<Change>): number {
  const added = framed(changes);
  const file = openSync(join(folder, 'manifest'), 'r+');
  try {
    ftruncateSync(file, bytes);
    if (writeSync(file, added, 0, added.length, bytes) < added.length)
      throw new Error('the disk is full');
  } finally {
    closeSync(file);
  }
  return bytes + added.length;
}
