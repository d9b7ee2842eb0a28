/** Receives the contents of a return into a content store here, from whatever stream they come on. */
import { fail, ok, type Result } from '../../src/base/result.ts';
import { BlobCodec, type AgentMessage } from '../../src/protocol/agent.ts';
import { unpackPiece } from '../../src/protocol/pieces.ts';
import type { Hash } from '../../src/tree/manifest.ts';
import type { Store } from '../../src/tree/store.ts';

type Blob = Extract<AgentMessage, { type: 'blob' }>;
type Awaited = {
  readonly size: number;
  at: number;
  readonly done: (result: Result<undefined>) => void;
};

export class Spool {
  /** Bytes that came over the wire. */
  received = 0;
  readonly #store: Store;
  readonly #awaited = new Map<Hash, Awaited>();
  #writing: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Whether the content is here already. */
  has(hash: Hash): boolean {
    return this.#store.has(hash);
  }

  pathOf(hash: Hash): Buffer {
    return this.#store.pathOf(hash);
  }

  /** Takes in a small content made here. */
  keep(hash: Hash, data: Buffer): Result<undefined> {
    const put = this.#store.put(hash, data);
    return put.ok ? ok(undefined) : put;
  }

  /** Resolves when the content, of `size` bytes, has arrived and its hash was found right. */
  await(hash: Hash, size: number): Promise<Result<undefined>> {
    return new Promise((done) => {
      this.#awaited.set(hash, { size, at: 0, done });
      this.#writing = this.#writing.then(async () => {
        const begun = await this.#store.begin(hash, size);
        if (!begun.ok) this.#settle(hash, begun);
      });
    });
  }

  /** Gives up on everything awaited. */
  abandon(reason: string): void {
    for (const hash of [...this.#awaited.keys()]) this.#settle(hash, fail(reason));
  }

  /** Takes a blob; resolves when it was written, so that the reader can hold back. */
  take(blob: Blob): Promise<void> {
    this.received += blob.data.length;
    this.#writing = this.#writing.then(() => this.#write(blob));
    return this.#writing;
  }

  async #write(blob: Blob): Promise<void> {
    const hash = blob.hash.toString('hex');
    const awaited = this.#awaited.get(hash);
    // Nobody asked for it, or no longer: an agent decides nothing about this disk.
    if (awaited === undefined) return;
    const { codec, data } = blob;
    if (codec !== BlobCodec.raw && codec !== BlobCodec.zstd) {
      this.#settle(hash, fail(`the worker packed a content in a way we do not know (${codec})`));
      return;
    }
    const piece = unpackPiece({ codec, data });
    if (!piece.ok) {
      this.#settle(hash, piece);
      return;
    }
    if (blob.size !== BigInt(awaited.size) || blob.offset !== BigInt(awaited.at)) {
      this.#settle(hash, fail('the worker sent a content of another size than it announced'));
      return;
    }
    const end = awaited.at + piece.value.length;
    if (end > awaited.size) {
      this.#settle(hash, fail('the worker sent more than it announced'));
      return;
    }
    const written = await this.#store.write(hash, awaited.at, piece.value);
    if (!written.ok) {
      this.#settle(hash, written);
      return;
    }
    awaited.at = end;
    if (end === awaited.size) this.#settle(hash, await this.#store.finish(hash));
  }

  #settle(hash: Hash, result: Result<unknown>): void {
    const awaited = this.#awaited.get(hash);
    if (awaited === undefined) return;
    this.#awaited.delete(hash);
    awaited.done(result.ok ? ok(undefined) : result);
  }
}
