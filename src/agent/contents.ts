/** Contents on their way in: pieces from any stream of any session, put together in the store. */
import { fail, ok, type Failure, type Result } from '../base/result.ts';
import type { AgentMessage } from '../protocol/agent.ts';
import { type Brought, lengthOf, unpackBlob } from '../protocol/pieces.ts';
import { PieceOrder } from '../protocol/stripes.ts';
import type { Change, Hash } from '../tree/manifest.ts';
import type { Store } from '../tree/store.ts';

/** Contents nobody has asked for yet (sent ahead of their sync) may be this large, bytes. */
const MAX_UNASKED = 64 * 1024 * 1024;
const HASH_BYTES = 32;

type Blob = Extract<AgentMessage, { type: 'blob' }>;

/** `at`: bytes held. */
type Arriving = { readonly size: number; at: number };

type Wait = {
  readonly missing: Map<Hash, number>;
  readonly end: (result: Result<undefined>) => void;
};

export type Missing = { readonly hash: Hash; readonly size: number };

export class Contents {
  readonly #store: Store;
  readonly #arriving = new Map<Hash, Arriving>();
  readonly #order: PieceOrder;
  readonly #chains = new Map<Hash, Promise<void>>();
  readonly #waits = new Set<Wait>();
  readonly #held = new Set<ReadonlySet<Hash>>();
  /** Files that contents may be copied from, by the hash that the link knows each by. */
  readonly #bases = new Map<Hash, Buffer>();

  constructor(store: Store, order = new PieceOrder()) {
    this.#store = store;
    this.#order = order;
  }

  /** What a sync is about to use and must not be collected meanwhile. */
  get pinned(): Set<Hash> {
    const pinned = new Set<Hash>();
    for (const held of this.#held) for (const hash of held) pinned.add(hash);
    return pinned;
  }

  /** Keeps the contents of these changes in the store until the returned function is called. */
  hold(changes: readonly Change[]): () => void {
    const held = new Set<Hash>();
    for (const change of changes)
      if (change.op === 'put' && change.entry.kind === 'file') held.add(change.entry.hash);
    this.#held.add(held);
    return () => this.#held.delete(held);
  }

  /** Lets what comes be copied from the file at `path`; what is made of it is proved by its own hash. */
  lend(base: Hash, path: Buffer): () => void {
    this.#bases.set(base, path);
    return () => {
      if (this.#bases.get(base) === path) this.#bases.delete(base);
    };
  }

  /** How many bytes of the content are here. One that was only never finished is finished. */
  async held(missing: Missing): Promise<Result<number>> {
    const { hash, size } = missing;
    const held = this.#arriving.get(hash)?.at ?? this.#store.partial(hash);
    if (held < size) return ok(held);
    const begun: Result<unknown>[] = [];
    await this.#inTurn(hash, async () => {
      begun.push(await this.#arrivingOf(hash, size));
      if (this.#store.has(hash)) this.#arrived(hash);
    });
    for (const each of begun) if (!each.ok) return each;
    return ok(this.#arriving.get(hash)?.at ?? size);
  }

  /** Resolves when all of them are in the store, or one of them cannot be. */
  wait(missing: readonly Missing[], signal: AbortSignal): Promise<Result<undefined>> {
    const left = new Map(
      missing.filter(({ hash }) => !this.#store.has(hash)).map(({ hash, size }) => [hash, size]),
    );
    if (left.size === 0) return Promise.resolve(ok(undefined));
    if (signal.aborted) return Promise.resolve(fail('the contents did not come'));
    return new Promise((resolve) => {
      const wait: Wait = {
        missing: left,
        end: (result) => {
          this.#waits.delete(wait);
          // Pieces that came before their turn are of use to nobody now.
          for (const hash of left.keys()) this.#order.moved(hash);
          signal.removeEventListener('abort', abort);
          resolve(result);
        },
      };
      const abort = (): void => {
        wait.end(fail('the contents did not come'));
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waits.add(wait);
    });
  }

  /**
   * Takes a piece; resolves when it is written, so that the sender can be held back. Those before it may still be on other
   * streams.
   */
  async take(blob: Blob): Promise<void> {
    if (blob.hash.length !== HASH_BYTES) return;
    const hash = blob.hash.toString('hex');
    await this.#order.turn(hash, () => this.#isDue(hash, Number(blob.offset)));
    await this.#inTurn(hash, async () => {
      const taken = await this.#write(hash, blob);
      if (!taken.ok) this.#fail(hash, taken.failure);
      else if (this.#store.has(hash)) this.#arrived(hash);
    });
    this.#order.moved(hash);
  }

  /** Whether nothing of a content is missing before `offset`, or nobody waits for it: then it is not waited for. */
  #isDue(hash: Hash, offset: number): boolean {
    if (offset === 0 || this.#store.has(hash)) return true;
    if (![...this.#waits].some(({ missing }) => missing.has(hash))) return true;
    return offset <= (this.#arriving.get(hash)?.at ?? this.#store.partial(hash));
  }

  async #write(hash: Hash, blob: Blob): Promise<Result<void>> {
    if (this.#store.has(hash)) return ok(undefined);
    const size = this.#sizeOf(hash, blob.size);
    if (!size.ok) return size;
    const brought = unpackBlob(blob.codec, blob.data);
    if (!brought.ok) return brought;
    const length = lengthOf(brought.value);
    const end = blob.offset + BigInt(length);
    if (end > BigInt(size.value)) return fail('a content is longer than was said');
    // Most contents are small and come whole: they need no file that is open for more.
    if (!this.#arriving.has(hash) && 'data' in brought.value && length === size.value)
      return this.#store.put(hash, brought.value.data);
    const arriving = await this.#arrivingOf(hash, size.value);
    if (!arriving.ok) return arriving;
    if (arriving.value === undefined) return ok(undefined);
    const { at } = arriving.value;
    if (blob.offset > BigInt(at)) return fail('a content came with a gap in it');
    // Sent twice, ahead of its sync and again when asked for.
    if (end <= BigInt(at)) return ok(undefined);
    const written = await this.#add(blob, brought.value, at);
    if (!written.ok) return written;
    arriving.value.at = Number(end);
    return arriving.value.at === size.value ? this.#finish(hash) : ok(undefined);
  }

  async #finish(hash: Hash): Promise<Result<undefined>> {
    this.#arriving.delete(hash);
    const finished = await this.#store.finish(hash);
    return finished.ok ? ok(undefined) : finished;
  }

  /** The size a content must have: what its sync says, else what the piece says, within bounds. */
  #sizeOf(hash: Hash, said: bigint): Result<number> {
    for (const wait of this.#waits) {
      const size = wait.missing.get(hash);
      if (size === undefined) continue;
      return BigInt(size) === said ? ok(size) : fail('a content is not of the size that was said');
    }
    return said <= BigInt(MAX_UNASKED)
      ? ok(Number(said))
      : fail('a content that was not asked for is too large');
  }

  /** Undefined when the content was completed by this (an empty one needs no piece). */
  async #arrivingOf(hash: Hash, size: number): Promise<Result<Arriving | undefined>> {
    const known = this.#arriving.get(hash);
    if (known?.size === size) return ok(known);
    const begun = await this.#store.begin(hash, size);
    if (!begun.ok) return begun;
    if (begun.value === size) {
      const finished = await this.#finish(hash);
      return finished.ok ? ok(undefined) : finished;
    }
    const arriving = { size, at: begun.value };
    this.#arriving.set(hash, arriving);
    return ok(arriving);
  }

  /** Adds what of a piece comes after the first `at` bytes. */
  async #add(blob: Blob, brought: Brought, at: number): Promise<Result<void>> {
    const hash = blob.hash.toString('hex');
    const known = at - Number(blob.offset);
    if ('data' in brought) return this.#store.write(hash, at, brought.data.subarray(known));
    const length = brought.length - known;
    if (brought.from === undefined) return this.#store.fill(hash, at, { length });
    const path = this.#bases.get(blob.base.toString('hex'));
    if (path === undefined) return fail('the base of a copy is not here');
    return this.#store.fill(hash, at, { length, copy: { path, from: brought.from + known } });
  }

  #arrived(hash: Hash): void {
    this.#order.moved(hash);
    for (const wait of [...this.#waits])
      if (wait.missing.delete(hash) && wait.missing.size === 0) wait.end(ok(undefined));
  }

  #fail(hash: Hash, failure: Failure): void {
    this.#arriving.delete(hash);
    void this.#store.abandon(hash);
    for (const wait of [...this.#waits])
      if (wait.missing.has(hash)) wait.end({ ok: false, failure });
  }

  /** One piece of a content at a time, whatever streams they come on. */
  async #inTurn(hash: Hash, work: () => Promise<void>): Promise<void> {
    const before = this.#chains.get(hash) ?? Promise.resolve();
    const turn = before.then(work);
    this.#chains.set(hash, turn);
    await turn;
    if (this.#chains.get(hash) === turn) this.#chains.delete(hash);
  }
}
