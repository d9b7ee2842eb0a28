/** Gives memory back while nothing happens: a resident program is a guest on its machine. */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Quiet before garbage is collected, and before what can be read again is forgotten, ms. */
const QUIET = 5_000;
const FORGET = 60_000;
/** Growth since the last time that makes a collection worth its pause of some 50 ms, bytes. */
const GROWTH = 4 * 1024 * 1024;

/** Options for a Node that rests most of its life. */
export const frugalNode = [
  '--optimize-for-size',
  '--max-semi-space-size=4',
  '--expose-gc',
] as const;

/**
 * The same for one that carries payload, MB of heap before old garbage is collected: the memory of buffers counts as
 * heap, and with the usual few all of it would be marked for every 12 MB that pass.
 */
export const carryingNode = [...frugalNode, '--initial-old-space-size=64'] as const;

/** The native part (shims/trim.c), which stands beside the bundles. */
type Trimmer = { readonly trim: () => void };

/** Gives free pages back that malloc keeps for later: up to 100 MB after much was moved (malloc_trim(3)). */
function trimmer(): () => void {
  try {
    const part = createRequire(import.meta.url)('./native/trim.node') as Trimmer;
    return part.trim;
  } catch {
    // Run from source, or with another libc, which keeps less.
    return () => undefined;
  }
}

/** Node started with --expose-gc has it; else it comes with a context of its own, which is 1 MB. */
function collector(): () => void {
  const { gc } = globalThis;
  if (gc !== undefined)
    return () => {
      gc();
    };
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

export type MemoryUser = {
  /** Something runs that a pause would hold up. */
  readonly busy: () => boolean;
  /** Drops what can be read again from disk. */
  readonly forget?: () => void;
};

export class Memory {
  readonly #collect = collector();
  readonly #release = trimmer();
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
      this.#user.forget?.();
      // What was forgotten is garbage without having grown.
      this.#known = 0;
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
    if (this.#user.busy()) {
      this.#quiet.refresh();
      return;
    }
    if (process.memoryUsage.rss() < this.#known + GROWTH) return;
    // What the first one frees of wrapped native memory, the second gives back.
    this.#collect();
    this.#collect();
    this.#release();
    this.#known = process.memoryUsage.rss();
  }
}
