/**
 * The redo journal of returns: what a placement is about to do is written down before it begins, so that one cut in
 * the middle (the link killed) is brought to its end when the link is back, before anything else looks at the tree.
 * ```
 * FOLDER/NAME  u32 length, JSON { boot, root (latin1), suffix }, packed operations (src/tree/apply.ts), BLAKE3 of all
 * ```
 * It is all or nothing: where the tree holds anything that is neither as before the placement nor as after it,
 * somebody went on working with it, and nothing is done. A boot since then ends a journal, because files may have
 * been lost with the power, and so does a content that was on its way from the spool into the tree, which comes from the
 * worker again; the order of the placement alone (take-back.ts) keeps tools from believing too much then.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
  type BigIntStats,
} from 'node:fs';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import { z } from 'zod';
import { type Guard, type Operation, packOperations } from '../../src/tree/apply.ts';
import { readOperations } from '../../src/tree/apply-read.ts';
import type { FsHelper } from '../../src/tree/fs-helper.ts';
import type { RawPath } from '../../src/tree/manifest.ts';
import { absolute } from '../../src/tree/paths.ts';

const HASH_BYTES = 32;

const head = z.object({ boot: z.string(), root: z.string(), suffix: z.string() });

export type Intention = {
  /** latin1, absolute. */
  readonly root: RawPath;
  readonly suffix: string;
  readonly operations: readonly Operation[];
};

const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

function encoded({ root, suffix, operations }: Intention): Buffer {
  const json = Buffer.from(JSON.stringify({ boot, root, suffix }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const body = Buffer.concat([length, json, packOperations(operations)]);
  return Buffer.concat([body, blake3(body)]);
}

/** Undefined for what is torn, of another boot, or not ours. */
function decoded(file: Buffer): Intention | undefined {
  const body = file.subarray(0, Math.max(0, file.length - HASH_BYTES));
  if (body.length < 4 || !blake3(body).equals(file.subarray(body.length))) return undefined;
  const start = 4 + body.readUInt32LE(0);
  const parsed = head.safeParse(JSON.parse(body.toString('utf8', 4, start)));
  const operations = readOperations(body.subarray(start));
  if (!parsed.success || parsed.data.boot !== boot || !operations.ok) return undefined;
  const { root, suffix } = parsed.data;
  return { root, suffix, operations: operations.value };
}

function fits(guard: Guard, stat: BigIntStats | undefined): boolean {
  if (guard === 'none') return true;
  if (guard === 'absent' || stat === undefined) return guard === 'absent' && stat === undefined;
  if (guard.dev !== stat.dev || guard.ino !== stat.ino) return false;
  if (stat.isDirectory()) return true;
  const same = BigInt(guard.size) === stat.size && guard.mtime === stat.mtimeNs;
  const sameMode = BigInt(guard.mode) === (stat.mode & 0o7777n);
  return same && sameMode && (guard.ctime === 0n || guard.ctime === stat.ctimeNs);
}

function isDone(operation: Operation, stat: BigIntStats | undefined, root: Buffer): boolean {
  if (operation.op === 'remove') return stat === undefined;
  if (stat === undefined) return false;
  switch (operation.op) {
    case 'file':
    case 'meta': {
      const is = stat.isFile() && stat.mtimeNs === operation.mtime;
      const whole = operation.op === 'meta' || stat.size === BigInt(operation.size);
      return is && whole && Number(stat.mode & 0o7777n) === operation.mode;
    }
    case 'symlink': {
      if (!stat.isSymbolicLink() || stat.mtimeNs !== operation.mtime) return false;
      const target = readlinkSync(absolute(root, operation.path), { encoding: 'buffer' });
      return target.toString('latin1') === operation.target;
    }
    case 'dir':
      return stat.isDirectory();
    case 'hardlink': {
      const to = statOf(root, operation.to);
      return to?.ino === stat.ino && to.dev === stat.dev;
    }
    case 'dirMeta':
    case 'stat':
      return false;
  }
}

function statOf(root: Buffer, path: RawPath): BigIntStats | undefined {
  try {
    return lstatSync(absolute(root, path), { bigint: true, throwIfNoEntry: false });
  } catch {
    // A folder on the way is none any more: then nothing is there either.
    return undefined;
  }
}

/** The same without taking its content away: who counts on that now is not known. */
function staying(operation: Operation): Operation {
  if (operation.op !== 'file' || operation.content.from !== 'move') return operation;
  return { ...operation, content: { ...operation.content, from: 'copy' } };
}

/** What is left to do, or undefined when the tree is neither as before nor as after. */
function pendingOf({ root, operations }: Intention): Operation[] | undefined {
  const at = Buffer.from(root, 'latin1');
  const pending: Operation[] = [];
  const replaced = new Set<RawPath>();
  for (const operation of operations) {
    if (operation.op === 'dirMeta') {
      pending.push(operation);
      continue;
    }
    const stat = statOf(at, operation.path);
    // One file by both names still, but the old one.
    const ofOld = operation.op === 'hardlink' && replaced.has(operation.to);
    if (operation.op === 'stat' || (!ofOld && isDone(operation, stat, at))) continue;
    if (!fits(operation.guard, stat)) return undefined;
    if (operation.op === 'file' && operation.content.from !== 'inline')
      if (!existsSync(operation.content.path)) return undefined;
    pending.push(staying(operation));
    if (operation.op !== 'meta') replaced.add(operation.path);
  }
  return pending;
}

export class RedoJournal {
  readonly #folder: string;

  /** `folder`: of one worker alone; made when it is first needed. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Remembers a placement until the returned function says that it is over. */
  intend(name: string, intention: Intention): () => void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, name);
    writeFileSync(`${path}.new`, encoded(intention), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return () => {
      rmSync(path, { force: true });
    };
  }

  /** Brings placements that were cut to their end, before anything else is done in those trees; gives their roots. */
  async recover(helper: FsHelper): Promise<RawPath[]> {
    const recovered: RawPath[] = [];
    const names = existsSync(this.#folder) ? readdirSync(this.#folder) : [];
    for (const name of names) {
      const path = join(this.#folder, name);
      const intention = decoded(readFileSync(path));
      const pending = intention === undefined ? undefined : pendingOf(intention);
      if (intention !== undefined && pending !== undefined) {
        const { root, suffix } = intention;
        const done = await helper.apply(Buffer.from(root, 'latin1'), pending, { suffix });
        if (done.ok) recovered.push(root);
      }
      rmSync(path, { force: true });
    }
    return recovered;
  }
}
