/** The worker's cores, lent to jobs: the agent alone knows all who build here, whatever daemons they belong to. */

/**
 * A job's share: `affinity` are the CPU numbers it may use, empty for all. A command that takes one core at a time is
 * not tied to a CPU: it runs wherever the kernel finds room, also beside those who know nothing of our slots.
 */
export type SlotLease = {
  readonly job: string;
  readonly owner: string;
  readonly slots: number;
  readonly affinity: readonly number[];
};

export type SlotWish = {
  /** The job's id, for the record. */
  readonly job: string;
  /** The workstation. */
  readonly owner: string;
  readonly slots: number;
  /** Cores it would use if it had them. */
  readonly wished: number;
  /** What its workstation may see in use; it may exceed the cores. */
  readonly total: number;
};

type Waiting = { readonly wish: SlotWish; readonly settle: (lease: SlotLease | undefined) => void };

export class Slots {
  readonly #cpus: readonly number[];
  readonly #record: (line: string) => void;
  readonly #users = new Map<number, number>();
  readonly #held = new Map<string, number>();
  readonly #waiting: Waiting[] = [];
  #used = 0;

  /** `record` gets a line for each lease that begins or ends, with what is in use after it. */
  constructor(cpus: readonly number[], record: (line: string) => void = () => undefined) {
    this.#cpus = cpus;
    this.#record = record;
    for (const cpu of cpus) this.#users.set(cpu, 0);
  }

  /** Slots of a workstation that does not say how many it may use. */
  get cores(): number {
    return this.#cpus.length;
  }

  get used(): number {
    return this.#used;
  }

  heldBy(owner: string): number {
    return this.#held.get(owner) ?? 0;
  }

  /**
   * Lends the slots of a wish (at least one, at most its total) as soon as they are free; undefined when they are not
   * within `waitMs`, or when `signal` aborts first. Of those who wait the workstation goes first that holds the fewest.
   */
  take(wish: SlotWish, waitMs: number, signal: AbortSignal): Promise<SlotLease | undefined> {
    const lease = this.#waiting.length === 0 ? this.#lend(wish) : undefined;
    if (lease !== undefined || waitMs <= 0 || signal.aborted) return Promise.resolve(lease);
    return new Promise((resolve) => {
      const settle = (given: SlotLease | undefined): void => {
        clearTimeout(late);
        signal.removeEventListener('abort', leave);
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve(given);
        if (given === undefined) this.#next();
      };
      const leave = (): void => {
        settle(undefined);
      };
      const waiting: Waiting = { wish, settle };
      const late = setTimeout(leave, waitMs);
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
      this.#next();
    });
  }

  give(lease: SlotLease): void {
    this.#used -= lease.slots;
    this.#held.set(lease.owner, this.heldBy(lease.owner) - lease.slots);
    if (this.heldBy(lease.owner) <= 0) this.#held.delete(lease.owner);
    for (const cpu of lease.affinity) this.#users.set(cpu, (this.#users.get(cpu) ?? 1) - 1);
    this.#record(`slots -${lease.slots} of job ${lease.job}: ${this.#used} in use`);
    this.#next();
  }

  /** Whoever waits and is next, as long as there is room; nobody overtakes the next one. */
  #next(): void {
    for (;;) {
      const [first, ...others] = this.#waiting;
      if (first === undefined) return;
      const next = others.reduce(
        (best, each) => (this.heldBy(each.wish.owner) < this.heldBy(best.wish.owner) ? each : best),
        first,
      );
      const lease = this.#lend(next.wish);
      if (lease === undefined) return;
      next.settle(lease);
    }
  }

  #lend({ job, owner, slots: wanted, wished, total }: SlotWish): SlotLease | undefined {
    const slots = Math.max(1, Math.min(wanted, total));
    if (this.#used + slots > total) return undefined;
    const free = slots >= this.#cpus.length || (slots === 1 && wished <= 1);
    const affinity = free ? [] : this.#leastUsed(slots);
    for (const cpu of affinity) this.#users.set(cpu, (this.#users.get(cpu) ?? 0) + 1);
    this.#used += slots;
    this.#held.set(owner, this.heldBy(owner) + slots);
    this.#record(`slots +${slots} for job ${job}: ${this.#used} of ${total} in use`);
    return { job, owner, slots, affinity };
  }

  #leastUsed(count: number): number[] {
    const load = (cpu: number): number => this.#users.get(cpu) ?? 0;
    return [...this.#cpus]
      .sort((a, b) => load(a) - load(b) || a - b)
      .slice(0, count)
      .sort((a, b) => a - b);
  }
}
