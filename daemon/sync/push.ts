/** Brings one root to the agent: the changes, then the contents it lacks, until it confirms the new epoch. */
import { performance } from 'node:perf_hooks';
import { fail, ok, type Failure, type Result } from '../../src/base/result.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { BlobPacker } from '../../src/protocol/blob-packer.ts';
import { readContent } from '../../src/tree/content.ts';
import type { Change, Entry, Hash, RawPath } from '../../src/tree/manifest.ts';
import { packChanges } from '../../src/tree/packed.ts';
import type { Outgoing, SharedRoot } from './shared-root.ts';

/** Contents up to this size, bytes, go ahead of the changes unasked, up to `EAGER_TOTAL` together. */
const EAGER_EACH = 128 * 1024;
const EAGER_TOTAL = 1024 * 1024;
/** Bytes of changes in one message. */
const PART_BYTES = 1024 * 1024;
const HASH_BYTES = 32;

type Blob = Extract<AgentMessage, { type: 'blob' }>;
type Answer = Extract<AgentMessage, { request: number }>;

/** The agent as a push needs it. */
export type PushPeer = {
  readonly request: (
    build: (request: number) => readonly AgentMessage[],
    partial: (answer: Answer) => boolean,
  ) => Promise<Result<Answer, Failure & { readonly kind?: string }>>;
  /** Tells the agent that what a request waits for will not come. */
  readonly withdraw: (request: number) => void;
  readonly sendBlob: (blob: Blob) => Promise<Result<undefined>>;
  /** Sends a small blob on the stream of the requests, so that it is there before the sync that names it. */
  readonly sendAhead: (blob: Blob) => Promise<Result<undefined>>;
  readonly packer: BlobPacker;
  /** Bytes put on the wire, of bytes to send in all (0: not known yet). */
  readonly progress: (done: number, total: number) => void;
};

/** `changed`: a file here is no longer what the manifest says, so look again. `kind`: the agent's word. */
export type PushFailure = Failure & { readonly changed?: boolean; readonly kind?: string };

type Source = { readonly path: RawPath; readonly entry: Extract<Entry, { kind: 'file' }> };

function sourcesOf(changes: readonly Change[]): Map<Hash, Source> {
  const sources = new Map<Hash, Source>();
  for (const change of changes)
    if (change.op === 'put' && change.entry.kind === 'file')
      sources.set(change.entry.hash, { path: change.path, entry: change.entry });
  return sources;
}

/** One push of one root; `sent` counts the bytes that went over the wire. */
export class Push {
  sent = 0;
  readonly #peer: PushPeer;
  readonly #root: SharedRoot;
  readonly #outgoing: Outgoing;
  readonly #sources: Map<Hash, Source>;
  #failure: PushFailure | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(peer: PushPeer, root: SharedRoot, outgoing: Outgoing) {
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
    if (!answer.ok) return answer;
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
    this.#sending = this.#sendNeeded(Buffer.from(reply.hashes), Buffer.from(reply.partial)).then(
      () => {
        if (this.#failure !== undefined) this.#peer.withdraw(request);
      },
    );
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

  async #sendNeeded(hashes: Buffer, partial: Buffer): Promise<void> {
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
      await this.#sendOne(hash, source, { from: held, send: this.#peer.sendBlob, moved });
      if (this.#failure !== undefined) return;
    }
  }

  async #sendOne(
    hash: Hash,
    source: Source,
    way: {
      readonly from: number;
      readonly send: PushPeer['sendBlob'];
      readonly moved?: (bytes: number) => void;
    },
  ): Promise<void> {
    const raw = Buffer.from(hash, 'hex');
    const { size } = source.entry;
    const path = Buffer.from(`${this.#root.path}/${source.path}`, 'latin1');
    const { from, send, moved } = way;
    const read = await readContent({ path, size, hash, from }, async (offset, data) => {
      if (this.#failure !== undefined) return;
      const packed = this.#peer.packer.pack(data);
      const began = performance.now();
      const result = await send({
        type: 'blob',
        hash: raw,
        size: BigInt(size),
        offset: BigInt(offset),
        codec: packed.codec,
        base: Buffer.alloc(0),
        data: packed.data,
      });
      this.#peer.packer.waited(performance.now() - began);
      if (!result.ok) this.#failure ??= result.failure;
      this.sent += packed.data.length;
      moved?.(data.length);
    });
    if (!read.ok)
      this.#failure ??= { reason: read.failure.reason, changed: read.failure.kind === 'changed' };
  }
}
