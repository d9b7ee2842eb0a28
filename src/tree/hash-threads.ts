/** Worker threads that hash files: started when there is work, ended when there was none for a while. */
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import {
  hashOne,
  openHeld,
  openOwn,
  type HashOneOutcome,
  type HashOneRequest,
} from './hash-one.ts';

/** Work for one thread: several files, so that the messages cost little. */
type Batch = readonly HashOneRequest[];

/** Bytes a thread reads at once. */
const THREAD_BLOCK = 1 << 20;
const IDLE_MS = 10_000;

const lost: HashOneOutcome = { outcome: 'unreadable', code: 'EIO' };

/**
 * A thread has neither our bundler nor a TypeScript loader, so it gets the text of the function, and the path of
 * the native part: beside the bundle, or that of the package when run from source.
 */
function addonPath(): string {
  const beside = fileURLToPath(new URL('./native/blake.node', import.meta.url));
  if (fs.existsSync(beside)) return beside;
  return createRequire(import.meta.url).resolve('@napi-rs/blake-hash');
}

function source(): string {
  return `
const { parentPort, workerData } = require('node:worker_threads');
const tools = {
  fs: require('node:fs'),
  blake: require(workerData.addon),
  block: Buffer.allocUnsafeSlow(workerData.block),
  zeros: Buffer.alloc(workerData.block),
};
const hashOne = ${hashOne.toString()};
tools.openOwn = ${openOwn.toString()};
tools.openHeld = ${openHeld.toString()};
parentPort.on('message', (batch) => {
  parentPort.postMessage(batch.map((item) => hashOne(tools, { ...item, path: Buffer.from(item.path) })));
});`;
}

type Waiting = {
  readonly batch: Batch;
  readonly done: (outcomes: readonly HashOneOutcome[]) => void;
};
type Thread = { readonly worker: Worker; current: Waiting | undefined };

/** At most `most` threads that take batches in order. */
export class HashThreads {
  readonly #most: number;
  readonly #threads = new Set<Thread>();
  readonly #queue: Waiting[] = [];
  #idle: NodeJS.Timeout | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** The outcomes of a batch, in its order; a thread that dies makes its batch `unreadable`. */
  run(batch: Batch): Promise<readonly HashOneOutcome[]> {
    return new Promise((done) => {
      this.#queue.push({ batch, done });
      this.#feed();
    });
  }

  /** Ends the threads; what they still had to do comes out as `unreadable`. A later run starts new ones. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const threads = [...this.#threads];
    this.#threads.clear();
    for (const waiting of this.#queue.splice(0)) waiting.done(waiting.batch.map(() => lost));
    await Promise.all(threads.map((thread) => thread.worker.terminate()));
  }

  #feed(): void {
    clearTimeout(this.#idle);
    while (this.#queue.length > 0) {
      const free = [...this.#threads].find((thread) => thread.current === undefined);
      if (free === undefined && this.#threads.size >= this.#most) return;
      const thread = free ?? this.#start();
      const next = this.#queue.shift();
      if (next === undefined) return;
      thread.current = next;
      thread.worker.ref();
      thread.worker.postMessage(next.batch);
    }
    if ([...this.#threads].some((thread) => thread.current !== undefined)) return;
    this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
  }

  #start(): Thread {
    const worker = new Worker(source(), {
      eval: true,
      workerData: { addon: addonPath(), block: THREAD_BLOCK },
    });
    const thread: Thread = { worker, current: undefined };
    this.#threads.add(thread);
    const finish = (outcomes: readonly HashOneOutcome[] | undefined): void => {
      const current = thread.current;
      thread.current = undefined;
      worker.unref();
      current?.done(outcomes ?? current.batch.map(() => lost));
      this.#feed();
    };
    worker.on('message', finish);
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      this.#threads.delete(thread);
      if (thread.current !== undefined) finish(undefined);
    });
    return thread;
  }
}
