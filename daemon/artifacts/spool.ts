/** Receives the contents of a return into a content store here, from whatever stream they come on. */
import { readFile, stat } from 'node:fs/promises';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import { type Brought, lengthOf, unpackBlob } from '../../src/protocol/pieces.ts';
import { PieceOrder } from '../../src/protocol/stripes.ts';
import type { Hash } from '../../src/tree/manifest.ts';
import type { Store } from '../../src/tree/store.ts';

/** What stays free on the disk here by what need not be brought, or not yet, bytes. */
export const LEAST_FREE = 2e9;
/** What one return may bring into the spool again, bytes. */
const MOST_AGAIN = 1e9;
/** What is taken in again between two looks at the disk, bytes, at most; more than any one content. */
const ROOM = 64e6;
/** Contents below this are taken in again by one write, bytes. */
const SMALL = 64 * 1024;

type Blob = Extract<AgentMessage, { type: 'blob' }>;
type Done = (result: Result<undefined>) => void;

/** A content that somebody has asked for. */
type Coming = {
  readonly size: number;
  /** Whoever asks for it; nobody else may meanwhile. */
  readonly asker: object;
  at: number;
  readonly ends: Done[];
  readonly marks: { readonly upTo: number; readonly done: Done }[];
};

export class Spool {
  readonly #received = new WeakMap<object, number>();
  readonly #store: Store;
  readonly #coming = new Map<Hash, Coming>();
  /** Files here that contents may be copied from, by the hash they were lent under. */
  readonly #lent = new Map<Hash, Buffer>();
  /** Who counts on a content that is here, or is to come, until it is placed. */
  readonly #counting = new Map<Hash, Set<object>>();
  /** Contents on their way out of the spool, and who waits for the end of that. */
  readonly #leaving = new Map<Hash, Done[]>();
  readonly #order: PieceOrder;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: Store, order = new PieceOrder()) {
    this.#store = store;
    this.#order = order;
  }

  /** Bytes that came over the wire because `asker` asked for them. */
  receivedFor(asker: object): number {
    return this.#received.get(asker) ?? 0;
  }

  /** Whether the content is here already, and stays. */
  has(hash: Hash): boolean {
    return !this.#leaving.has(hash) && this.#store.has(hash);
  }

  /**
   * Until `release`, contents that are here stay for `user`, or leave by its own word. What somebody else removed (a
   * cache is anybody's to empty) is found out now.
   */
  countOn(hashes: Iterable<Hash>, user: object): void {
    this.#store.restore();
    for (const hash of hashes) {
      this.#store.lookFor(hash);
      const users = this.#counting.get(hash) ?? new Set();
      this.#counting.set(hash, users.add(user));
    }
  }

  /** Whether anybody counts on it. */
  counts(hash: Hash): boolean {
    return this.#counting.has(hash);
  }

  release(user: object): void {
    for (const [hash, users] of this.#counting)
      if (users.delete(user) && users.size === 0) this.#counting.delete(hash);
  }

  /**
   * Whether the file of the content may be moved away by `user`: nobody else counts on it. Then it counts as gone until
   * `left` has looked.
   */
  giveAway(hash: Hash, user: object): boolean {
    const users = this.#counting.get(hash) ?? new Set();
    if (!this.has(hash) || this.#coming.has(hash) || users.size !== 1 || !users.has(user))
      return false;
    this.#leaving.set(hash, []);
    return true;
  }

  /** What was given away is moved now, or was not. */
  left(hashes: Iterable<Hash>): void {
    for (const hash of hashes) {
      const waiting = this.#leaving.get(hash) ?? [];
      this.#leaving.delete(hash);
      this.#store.lookFor(hash);
      const end = this.has(hash) ? ok(undefined) : fail('a content went to another place');
      for (const done of waiting) done(end);
    }
  }

  /**
   * Takes contents of less than `most` bytes in again, from the files that they were moved to, one after the other and as
   * long as there is room; of one that changed or went meanwhile nothing is kept. Never fails.
   */
  async takeAgain(
    files: ReadonlyMap<Hash, Buffer>,
    { most, free }: { readonly most: number; readonly free: () => Promise<number> },
  ): Promise<void> {
    let budget = MOST_AGAIN;
    let room = 0;
    for (const [hash, path] of files) {
      const found = await stat(path).catch(() => undefined);
      if (found?.isFile() !== true || found.size >= most || found.size > budget) continue;
      if (room < found.size) room = Math.min(ROOM, (await free()) - LEAST_FREE);
      if (room < found.size) return;
      room -= found.size;
      budget -= found.size;
      if (found.size < SMALL) await this.#putAgain(hash, path).catch(() => undefined);
      else await this.#store.add(path, hash, () => !this.#isWanted(hash)).catch(() => undefined);
    }
  }

  async #putAgain(hash: Hash, path: Buffer): Promise<void> {
    const data = await readFile(path);
    if (!this.#isWanted(hash)) this.#store.put(hash, data);
  }

  /** Whether some return is about to bring it or to take it out: its file must stay the one that they see. */
  #isWanted(hash: Hash): boolean {
    return this.#coming.has(hash) || this.#counting.has(hash) || this.#leaving.has(hash);
  }

  pathOf(hash: Hash): Buffer {
    return this.#store.pathOf(hash);
  }

  /** Lets what comes be copied from the file at `path`; what is made of it is proved by its own hash. */
  lend(base: Hash, path: Buffer): () => void {
    this.#lent.set(base, path);
    return () => {
      if (this.#lent.get(base) === path) this.#lent.delete(base);
    };
  }

  /** Takes in a small content made here. */
  keep(hash: Hash, data: Buffer): Result<undefined> {
    const put = this.#store.put(hash, data);
    return put.ok ? ok(undefined) : put;
  }

  /**
   * From now on `asker` is to ask for the content, of `size` bytes; gives the bytes of it that have come. Undefined:
   * another is asking already, or it is on its way out, and its `arrival` is worth waiting for.
   */
  claim(hash: Hash, size: number, asker: object): number | undefined {
    if (this.#leaving.has(hash)) return undefined;
    const known = this.#coming.get(hash);
    if (known !== undefined)
      return known.asker === asker && known.size === size ? known.at : undefined;
    this.#coming.set(hash, { size, asker, at: 0, ends: [], marks: [] });
    void this.#inTurn(hash, async () => {
      // What an earlier attempt left may be of another state of the file.
      await this.#store.abandon(hash, { drop: true });
      const begun = await this.#store.begin(hash, size);
      if (!begun.ok) this.#settle(hash, begun);
    });
    return 0;
  }

  /** Bytes that have come of a claimed content; undefined: nobody claims it. */
  heldOf(hash: Hash): number | undefined {
    return this.#coming.get(hash)?.at;
  }

  /** Resolves when the whole claimed content has arrived and its hash was found right, or will not come. */
  arrival(hash: Hash): Promise<Result<undefined>> {
    const leaving = this.#leaving.get(hash);
    if (leaving !== undefined) return new Promise((done) => leaving.push(done));
    const coming = this.#coming.get(hash);
    if (coming === undefined)
      return Promise.resolve(this.has(hash) ? ok(undefined) : fail('a content did not come'));
    return new Promise((done) => coming.ends.push(done));
  }

  /** Resolves when so many bytes of the claimed content have arrived, or it will not come. */
  mark(hash: Hash, upTo: number): Promise<Result<undefined>> {
    const coming = this.#coming.get(hash);
    if (coming === undefined) return this.arrival(hash);
    if (coming.at >= upTo && coming.at < coming.size) return Promise.resolve(ok(undefined));
    return new Promise((done) => coming.marks.push({ upTo, done }));
  }

  /** The content will not come; what came of it is forgotten. */
  async drop(hash: Hash, reason: string): Promise<void> {
    this.#settle(hash, fail(reason));
    // In turn: who claims it anew meanwhile must not lose what comes for them.
    await this.#inTurn(hash, async () => {
      if (!this.#coming.has(hash)) await this.#store.abandon(hash, { drop: true });
    });
  }

  /** Gives up on everything awaited. */
  abandon(reason: string): void {
    for (const hash of [...this.#coming.keys()]) this.#settle(hash, fail(reason));
  }

  /**
   * Takes a blob; resolves when it was written, so that the reader can hold back. Those before it may still be on other
   * streams.
   */
  async take(blob: Blob): Promise<void> {
    const hash = blob.hash.toString('hex');
    await this.#order.turn(hash, () => {
      const coming = this.#coming.get(hash);
      return coming === undefined || blob.offset <= BigInt(coming.at);
    });
    await this.#inTurn(hash, () => this.#write(blob));
  }

  /** One after the other, whatever becomes of each: what cannot be dealt with will not come. */
  #inTurn(hash: Hash, work: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.then(work).catch((thrown: unknown) => {
      this.#settle(hash, fail(messageOf(thrown)));
    });
    return this.#writing;
  }

  async #write(blob: Blob): Promise<void> {
    const hash = blob.hash.toString('hex');
    const coming = this.#coming.get(hash);
    // Nobody asked for it, or no longer: an agent decides nothing about this disk.
    if (coming === undefined) return;
    this.#received.set(coming.asker, this.receivedFor(coming.asker) + blob.data.length);
    const brought = unpackBlob(blob.codec, blob.data);
    if (!brought.ok) {
      this.#settle(hash, brought);
      return;
    }
    if (blob.size !== BigInt(coming.size) || blob.offset !== BigInt(coming.at)) {
      this.#settle(hash, fail('the worker sent a content of another size than it announced'));
      return;
    }
    const end = coming.at + lengthOf(brought.value);
    if (end > coming.size) {
      this.#settle(hash, fail('the worker sent more than it announced'));
      return;
    }
    const written = await this.#add(blob, coming.at, brought.value);
    if (!written.ok) {
      this.#settle(hash, written);
      return;
    }
    coming.at = end;
    this.#order.moved(hash);
    if (end === coming.size) this.#settle(hash, await this.#store.finish(hash));
    else this.#tellMarks(coming);
  }

  #tellMarks(coming: Coming): void {
    for (const mark of [...coming.marks]) {
      if (mark.upTo > coming.at) continue;
      coming.marks.splice(coming.marks.indexOf(mark), 1);
      mark.done(ok(undefined));
    }
  }

  async #add(blob: Blob, at: number, brought: Brought): Promise<Result<void>> {
    const hash = blob.hash.toString('hex');
    if ('data' in brought) return this.#store.write(hash, at, brought.data);
    const { length, from } = brought;
    if (from === undefined) return this.#store.fill(hash, at, { length });
    const path = this.#lent.get(blob.base.toString('hex'));
    if (path === undefined) return fail('the worker copies from what nobody offered it');
    return this.#store.fill(hash, at, { length, copy: { path, from } });
  }

  #settle(hash: Hash, result: Result<unknown>): void {
    const coming = this.#coming.get(hash);
    if (coming === undefined) return;
    this.#coming.delete(hash);
    this.#order.moved(hash);
    const end: Result<undefined> = result.ok ? ok(undefined) : result;
    for (const { done } of coming.marks) done(end);
    for (const done of coming.ends) done(end);
  }
}
