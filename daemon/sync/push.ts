/** Brings one root to the agent: the changes, then the contents it lacks, until it confirms the new epoch. */
import { performance } from 'node:perf_hooks';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { Packer } from '../../src/protocol/blob-packer.ts';
import { packRun } from '../../src/protocol/pieces.ts';
import { Outline, Stretches, type Stretch } from '../../src/tree/chunks.ts';
import { readContent } from '../../src/tree/content.ts';
import type { Change, Entry, Hash, RawPath } from '../../src/tree/manifest.ts';
import { packChanges } from '../../src/tree/packed.ts';
import { absolute } from '../../src/tree/paths.ts';
import type { Outgoing, SharedRoot } from './shared-root.ts';

/** Contents up to this size, bytes, go ahead of the changes unasked, up to `EAGER_TOTAL` together. */
const EAGER_EACH = 128 * 1024;
const EAGER_TOTAL = 1024 * 1024;
/** A content from this size on, bytes, goes as what differs from what stands in its place there. */
const DELTA_LEAST = 4 * 1024 * 1024;
/** Bytes of changes in one message. */
const PART_BYTES = 1024 * 1024;
const HASH_BYTES = 32;
const NO_BASE = Buffer.alloc(0);

type Blob = Extract<AgentMessage, { type: 'blob' }>;
type Answer = Extract<AgentMessage, { request: number }>;

/** The agent as a sync needs it. */
export type PushPeer = {
  readonly request: (
    build: (request: number) => readonly AgentMessage[],
    partial: (answer: Answer) => boolean,
  ) => Promise<Result<Answer, Failure & { readonly kind?: string }>>;
  /** Whether it knows what only agents of our version do. */
  readonly ours: () => boolean;
  /** Tells the agent that what a request waits for will not come. */
  readonly withdraw: (request: number) => void;
  readonly sendBlob: (blob: Blob) => Promise<Result<undefined>>;
  /** Sends a small blob on the stream of the requests, so that it is there before the sync that names it. */
  readonly sendAhead: (blob: Blob) => Promise<Result<undefined>>;
  readonly packer: Packer;
  /** Bytes put on the wire, of bytes to send in all (0: not known yet). */
  readonly progress: (done: number, total: number) => void;
};

/**
 * `changed`: a file here is no longer what the manifest says, so look again. `kind`: the agent's word. `patched`: a
 * content was put together from what the agent had of it, and came out wrong.
 */
export type PushFailure = Failure & {
  readonly changed?: boolean;
  readonly kind?: string;
  readonly patched?: boolean;
};

type Source = { readonly path: RawPath; readonly entry: Extract<Entry, { kind: 'file' }> };

function sourcesOf(changes: readonly Change[]): Map<Hash, Source> {
  const sources = new Map<Hash, Source>();
  for (const change of changes)
    if (change.op === 'put' && change.entry.kind === 'file')
      sources.set(change.entry.hash, { path: change.path, entry: change.entry });
  return sources;
}

/** What of the agent's a content may be copied from. */
type Base = { readonly hash: Buffer; readonly outline: Outline };

export type PushOptions = {
  /** Sends contents whole, whatever the agent has in their place. */
  readonly whole?: boolean;
};

/** One push of one root; `sent` counts the bytes that went over the wire. */
export class Push {
  sent = 0;
  readonly #options: PushOptions;
  /** A content was not sent from its first byte to its last. */
  #patched = false;
  readonly #peer: PushPeer;
  readonly #root: SharedRoot;
  readonly #outgoing: Outgoing;
  readonly #sources: Map<Hash, Source>;
  #failure: PushFailure | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(
    peer: PushPeer,
    of: { readonly root: SharedRoot; readonly outgoing: Outgoing },
    options: PushOptions = {},
  ) {
    const { root, outgoing } = of;
    this.#options = options;
    this.#peer = peer;
    this.#root = root;
    this.#outgoing = outgoing;
    this.#sources = sourcesOf(outgoing.changes);
  }

  /** Resolves with the epoch the agent now holds; `undefined` when it wants the whole manifest instead. */
  async run(): Promise<Result<bigint | undefined, PushFailure>> {
    const to = this.#root.nextEpoch();
    if (!this.#outgoing.whole) {
      await this.#sendEager();
      if (this.#failure !== undefined) return { ok: false, failure: this.#failure };
    }
    const answer = await this.#peer.request(
      (request) => this.#messages(request, to),
      (reply) => this.#onPartial(reply),
    );
    await this.#sending;
    if (this.#failure !== undefined) return { ok: false, failure: this.#failure };
    if (!answer.ok) {
      const patched = this.#patched && answer.failure.kind === 'bad-content';
      return { ok: false, failure: { ...answer.failure, patched } };
    }
    if (answer.value.type === 'syncMismatch') return ok(undefined);
    if (answer.value.type !== 'synced')
      return fail(`the agent answered a sync with ${answer.value.type}`);
    this.#root.sent(this.#outgoing, to);
    return ok(to);
  }

  #messages(request: number, to: bigint): AgentMessage[] {
    const packed = packChanges(this.#outgoing.changes, PART_BYTES);
    const parts = packed.length > 0 ? packed : [Buffer.alloc(0)];
    return parts.map((changes, at) => ({
      type: 'sync',
      request,
      root: this.#root.key,
      path: Buffer.from(this.#root.path, 'latin1'),
      policy: this.#root.policy,
      from: this.#root.epoch ?? 0n,
      to,
      whole: this.#outgoing.whole,
      changes,
      last: at === parts.length - 1,
    }));
  }

  #onPartial(reply: Answer): boolean {
    if (reply.type !== 'syncNeed') return false;
    const { request } = reply;
    const hashes = Buffer.from(reply.hashes);
    const partial = Buffer.from(reply.partial);
    this.#sending = this.#sendNeeded(request, hashes, partial).then(() => {
      if (this.#failure !== undefined) this.#peer.withdraw(request);
    });
    return true;
  }

  async #sendEager(): Promise<void> {
    let total = 0;
    for (const [hash, source] of this.#sources) {
      if (source.entry.size > EAGER_EACH || total + source.entry.size > EAGER_TOTAL) continue;
      total += source.entry.size;
      await this.#sendOne(hash, source, { from: 0, send: this.#peer.sendAhead });
      if (this.#failure !== undefined) return;
    }
  }

  async #sendNeeded(sync: number, hashes: Buffer, partial: Buffer): Promise<void> {
    const wanted: { hash: Hash; held: number }[] = [];
    for (let at = 0; at < hashes.length; at += HASH_BYTES) {
      const held =
        partial.length >= (at / HASH_BYTES + 1) * 8
          ? partial.readBigUInt64LE((at / HASH_BYTES) * 8)
          : 0n;
      wanted.push({ hash: hashes.toString('hex', at, at + HASH_BYTES), held: Number(held) });
    }
    const total = wanted.reduce(
      (sum, { hash, held }) => sum + (this.#sources.get(hash)?.entry.size ?? 0) - held,
      0,
    );
    let done = 0;
    for (const { hash, held } of wanted) {
      const source = this.#sources.get(hash);
      if (source === undefined) {
        this.#failure ??= { reason: 'the agent asked for a content that was not offered' };
        return;
      }
      const moved = (bytes: number): void => {
        done += bytes;
        this.#peer.progress(done, total);
      };
      if (held > 0) this.#patched = true;
      const base = await this.#baseOf(sync, hash, source.entry.size - held);
      const send = this.#peer.sendBlob;
      await this.#sendOne(hash, source, { from: held, send, moved, base });
      if (this.#failure !== undefined) return;
    }
  }

  /** What the agent has in the place of a content of which `bytes` are to be sent; where it pays to ask. */
  async #baseOf(sync: number, hash: Hash, bytes: number): Promise<Base | undefined> {
    if (this.#options.whole === true || bytes < DELTA_LEAST) return undefined;
    if (!this.#peer.packer.worthDiffering) return undefined;
    const answer = await this.#peer.request(
      (request) => [{ type: 'outline', request, sync, hash: Buffer.from(hash, 'hex') }],
      () => false,
    );
    if (!answer.ok || answer.value.type !== 'outlined') return undefined;
    const { base, bits, chunks } = answer.value;
    const outline = chunks.length > 0 ? Outline.read(bits, chunks) : undefined;
    if (outline === undefined) return undefined;
    this.#patched = true;
    return { hash: Buffer.from(base), outline };
  }

  async #sendOne(
    hash: Hash,
    source: Source,
    way: {
      readonly from: number;
      readonly send: PushPeer['sendBlob'];
      readonly moved?: (bytes: number) => void;
      readonly base?: Base | undefined;
    },
  ): Promise<void> {
    const { size } = source.entry;
    const { from, base, moved } = way;
    const path = absolute(this.#root.tree.root, source.path);
    const blob = { type: 'blob', hash: Buffer.from(hash, 'hex'), size: BigInt(size) } as const;
    const stretches = new Stretches(base?.outline);
    let at = from;
    const give = async (stretch: Stretch): Promise<void> => {
      if (this.#failure !== undefined) return;
      const bytes = stretch.kind === 'bytes' ? stretch.data.length : stretch.length;
      const piece =
        stretch.kind === 'bytes' ? this.#peer.packer.pack(stretch.data) : packRun(stretch);
      const began = performance.now();
      const result = await way.send({
        ...blob,
        offset: BigInt(at),
        codec: piece.codec,
        base: stretch.kind === 'copy' && base !== undefined ? base.hash : NO_BASE,
        data: piece.data,
      });
      // What the agent does for a run says nothing about the way.
      if (stretch.kind === 'bytes')
        this.#peer.packer.sent(piece.data.length, performance.now() - began);
      if (!result.ok) this.#failure ??= result.failure;
      this.sent += piece.data.length;
      at += bytes;
      moved?.(bytes);
    };
    const data = await this.#root.tree.dataOf(source.path, source.entry.size);
    const read = await readContent({ path, size, hash, from, data }, async (_, part) => {
      for (const stretch of stretches.push(part)) await give(stretch);
    });
    if (read.ok) for (const stretch of stretches.flush()) await give(stretch);
    else
      this.#failure ??= { reason: read.failure.reason, changed: read.failure.kind === 'changed' };
  }
}
