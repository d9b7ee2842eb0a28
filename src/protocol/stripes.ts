/** Several streams as one way for the pieces of contents: more is on its way at once than one stream lets through. */
import type { Writable } from 'node:stream';

/** Without a piece of any content for so long, one that has a gap is taken to keep it, ms. */
const GAP_MS = 60_000;

type Striped = Pick<
  Writable,
  'writableLength' | 'writableNeedDrain' | 'destroyed' | 'on' | 'off'
> & {
  readonly write: (data: Buffer) => boolean;
};

/** When each was written to last, in pieces of all of them. */
const turns = new WeakMap<Striped, number>();
let turn = 0;

/**
 * Writes where the least is queued, of several such on the one that has waited longest, and waits until one of them has
 * room for more. False: one of them is gone, and with it pieces that the others count on.
 */
export async function writeStriped(streams: readonly Striped[], data: Buffer): Promise<boolean> {
  const [first, ...rest] = streams;
  const gone = (): boolean => streams.some((stream) => stream.destroyed);
  if (first === undefined || gone()) return false;
  const rank = (one: Striped, other: Striped): number =>
    one.writableLength - other.writableLength || (turns.get(one) ?? 0) - (turns.get(other) ?? 0);
  const next = rest.reduce((least, each) => (rank(each, least) < 0 ? each : least), first);
  turns.set(next, (turn += 1));
  next.write(data);
  const full = (): boolean => streams.every((stream) => stream.writableNeedDrain);
  while (full() && !gone()) await changeOf(streams);
  return !gone();
}

/** Resolves when one of them has drained or is gone. */
function changeOf(streams: readonly Striped[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const stream of streams) stream.off('drain', done).off('close', done);
      resolve();
    };
    for (const stream of streams) stream.on('drain', done).on('close', done);
  });
}

/**
 * The other end of that: pieces of a content that come on several streams wait for those before them. Nothing waits for
 * ever behind such a one: pieces are sent one after the other, so that of all that are on their way the first is the next
 * one of its content, and at the head of its stream.
 */
export class PieceOrder {
  readonly #gapMs: number;
  readonly #waiting = new Map<string, Set<() => void>>();
  #movedAt = 0;

  constructor(gapMs = GAP_MS) {
    this.#gapMs = gapMs;
  }

  /** A content has changed, or what becomes of it. */
  moved(content: string): void {
    this.#movedAt = performance.now();
    const waiting = this.#waiting.get(content);
    this.#waiting.delete(content);
    for (const wake of waiting ?? []) wake();
  }

  /** Resolves when it is the turn of a piece, which `due` tells, or will never be. */
  async turn(content: string, due: () => boolean): Promise<void> {
    const from = performance.now();
    while (!due()) {
      const left = Math.max(from, this.#movedAt) + this.#gapMs - performance.now();
      if (left <= 0) return;
      await this.#change(content, left);
    }
  }

  /** Resolves when the content has moved, or after so many ms. */
  #change(content: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(content) ?? new Set();
      const wake = (): void => {
        clearTimeout(timer);
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(content) === waiting)
          this.#waiting.delete(content);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.set(content, waiting.add(wake));
    });
  }
}
