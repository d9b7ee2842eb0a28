/** Gives memory back while nothing happens: an agent is a guest on its machine. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Quiet before garbage is collected, and before what can be read again is forgotten, ms. */
const QUIET = 10_000;
const FORGET = 60_000;
/** Growth since the last time that makes a collection worth its pause of some 50 ms, bytes. */
const GROWTH = 4 * 1024 * 1024;

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

export type MemoryUser = {
  /** A job runs. */
  readonly busy: () => boolean;
  /** Drops what can be read again from disk. */
  readonly forget: () => void;
};

export class Memory {
  readonly #collect = collector();
  readonly #user: MemoryUser;
  readonly #quiet: NodeJS.Timeout;
  readonly #forget: NodeJS.Timeout;
  #known = 0;

  constructor(user: MemoryUser) {
    this.#user = user;
    this.#quiet = setTimeout(() => {
      this.#trim();
    }, QUIET).unref();
    this.#forget = setTimeout(() => {
      if (this.#user.busy()) return;
      this.#user.forget();
      // Closing a tree writes its cache first.
      this.#quiet.refresh();
    }, FORGET).unref();
  }

  /** Something was done; memory is looked at when nothing more was for a while. */
  used(): void {
    this.#quiet.refresh();
    this.#forget.refresh();
  }

  #trim(): void {
    if (this.#user.busy() || process.memoryUsage.rss() < this.#known + GROWTH) return;
    // What the first one frees of wrapped native memory, the second gives back.
    this.#collect();
    this.#collect();
    this.#known = process.memoryUsage.rss();
  }
}
