/** Asks workers for their facts: each at most once at a time, whoever waits for it, and nobody long for one that is mute. */
import type { Worker } from './worker.ts';

/** ms that the facts of a worker are taken for true; then they are asked for again before a command relies on them. */
const FRESH = 30_000;
/** ms for a worker to tell of its tools, and for how much of that a command waits where another could take it. */
const DEADLINE = 10_000;
const PATIENCE = 2000;

/** Workers whose facts are not known in time, and when all of these have answered, or will not. */
export type Late = { readonly ids: ReadonlySet<string>; readonly over: Promise<unknown> };

type Probe = {
  readonly tools: ReadonlySet<string>;
  /** It has answered. */
  told: boolean;
  readonly over: Promise<void>;
  /** When it has answered, or need not be waited for. */
  readonly soon: Promise<void>;
};

function stale({ state, probed }: Worker, tools: readonly string[]): boolean {
  return (
    state.kind === 'connected' &&
    (performance.now() - state.factsAt > FRESH || tools.some((tool) => !probed.has(tool)))
  );
}

export class Probing {
  readonly #running = new WeakMap<Worker, Probe>();
  /** Did not answer when they were asked last. */
  readonly #mute = new WeakSet<Worker>();

  /**
   * Has all of `workers` that could take a command told, not long ago, of these tools; `workers` is asked again for those
   * that connected since.
   */
  async ensure(
    workers: () => readonly Worker[],
    of: { readonly tools: readonly string[]; readonly could: (id: string) => boolean },
  ): Promise<Late> {
    const { tools, could } = of;
    const asked = new Map<Worker, Probe>();
    for (;;) {
      const now = workers().filter(
        (worker) => !asked.has(worker) && stale(worker, tools) && could(worker.id),
      );
      if (now.length === 0) break;
      const probes = now.map((worker) => ({ worker, probe: this.#probe(worker, tools) }));
      for (const { worker, probe } of probes) asked.set(worker, probe);
      await Promise.all(probes.map(({ probe }) => probe.soon));
    }
    const late = [...asked].filter(([, { told }]) => !told);
    return {
      ids: new Set(late.map(([{ id }]) => id)),
      over: Promise.all(late.map(([, { over }]) => over)),
    };
  }

  #probe(worker: Worker, tools: readonly string[]): Probe {
    const running = this.#running.get(worker);
    if (running !== undefined && tools.every((tool) => running.tools.has(tool))) return running;
    const asking = worker.probe(tools, DEADLINE);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#mute.has(worker) ? 0 : PATIENCE);
    });
    const over = asking.then((reply) => {
      clearTimeout(timer);
      probe.told = reply.ok;
      if (reply.ok) this.#mute.delete(worker);
      else this.#mute.add(worker);
      if (this.#running.get(worker) === probe) this.#running.delete(worker);
    });
    const soon = Promise.race([over, patience]);
    const probe: Probe = { tools: new Set(tools), told: false, over, soon };
    this.#running.set(worker, probe);
    return probe;
  }
}
