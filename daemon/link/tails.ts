/** The end of what each job wrote, told to the front while somebody watches. */
import { Tail } from '../../src/base/tail.ts';
import type { LinkToFront } from '../../src/protocol/ipc.ts';

/** ms between two words on what was written. */
const TELL = 150;

type Written = { readonly stream: number; readonly offset: bigint; readonly data: Buffer };
type Watched = {
  readonly tail: Tail;
  /** How far each stream has come. */
  readonly ends: Map<number, bigint>;
  /** How far the front was told. */
  told: number;
};

/**
 * A ring a running job is always kept, so that who begins to watch sees what stands there; a copy of the end of each
 * message is all that costs.
 */
export class Tails {
  readonly #tell: (message: LinkToFront) => void;
  readonly #jobs = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (message: LinkToFront) => void) {
    this.#tell = tell;
  }

  /** A job wrote something; what is told again after a reconnect is known already. */
  wrote(job: string, { stream, offset, data }: Written): void {
    let watched = this.#jobs.get(job);
    if (watched === undefined) {
      watched = { tail: new Tail(), ends: new Map(), told: 0 };
      this.#jobs.set(job, watched);
    }
    const known = (watched.ends.get(stream) ?? 0n) - offset;
    if (known >= BigInt(data.length)) return;
    watched.ends.set(stream, offset + BigInt(data.length));
    watched.tail.add(known > 0n ? data.subarray(Number(known)) : data);
  }

  /** Whether somebody watches: who begins to do so is told what is held. */
  watch(on: boolean): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (!on) return;
    for (const watched of this.#jobs.values()) watched.told = 0;
    this.#flush();
    this.#timer = setInterval(() => {
      this.#flush();
    }, TELL);
  }

  /** The job has ended: what is left is told, and nothing kept. */
  end(job: string): void {
    if (this.#timer !== undefined) this.#say(job);
    this.#jobs.delete(job);
  }

  #flush(): void {
    for (const job of this.#jobs.keys()) this.#say(job);
  }

  #say(job: string): void {
    const watched = this.#jobs.get(job);
    if (watched === undefined || watched.told === watched.tail.total) return;
    const { data, skipped } = watched.tail.since(watched.told);
    watched.told = watched.tail.total;
    this.#tell({ type: 'output', job, data: data.toString('base64'), skipped });
  }
}
