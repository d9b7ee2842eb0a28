/** The worker's cores, lent to jobs: the agent alone knows all who build here, whatever daemons they belong to. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * A job's share: `affinity` are the CPU numbers it may use, empty for all. One slot is not tied to a CPU: a command
 * that takes one at a time runs wherever the kernel finds room, also beside those who know nothing of our slots.
 */
export type SlotLease = { readonly slots: number; readonly affinity: readonly number[] };

/** Reads a CPU list of proc(5), such as `0-3,8`. */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const range of text.trim().split(',')) {
    const [first, last] = range.split('-').map(Number);
    if (first === undefined || !Number.isInteger(first)) continue;
    for (let cpu = first; cpu <= (last ?? first) && cpus.length < 4096; cpu++) cpus.push(cpu);
  }
  return cpus;
}

/** The CPUs this process may run on. */
export function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1];
  const cpus = parseCpuList(list ?? '');
  return cpus.length > 0 ? cpus : Array.from({ length: availableParallelism() }, (_, cpu) => cpu);
}

export class Slots {
  readonly #cpus: readonly number[];
  readonly #users = new Map<number, number>();
  #used = 0;

  constructor(cpus: readonly number[]) {
    this.#cpus = cpus;
    for (const cpu of cpus) this.#users.set(cpu, 0);
  }

  /** Slots of a workstation that does not say how many it may use. */
  get cores(): number {
    return this.#cpus.length;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Lends `wanted` slots (at least one, at most `total`), or undefined when they are not free. `total` is what the
   * asking workstation may see in use; it may exceed the cores.
   */
  take(wanted: number, total: number): SlotLease | undefined {
    const slots = Math.max(1, Math.min(wanted, total));
    if (this.#used + slots > total) return undefined;
    const affinity = slots === 1 || slots >= this.#cpus.length ? [] : this.#leastUsed(slots);
    for (const cpu of affinity) this.#users.set(cpu, (this.#users.get(cpu) ?? 0) + 1);
    this.#used += slots;
    return { slots, affinity };
  }

  give(lease: SlotLease): void {
    this.#used -= lease.slots;
    for (const cpu of lease.affinity) this.#users.set(cpu, (this.#users.get(cpu) ?? 1) - 1);
  }

  #leastUsed(count: number): number[] {
    const load = (cpu: number): number => this.#users.get(cpu) ?? 0;
    return [...this.#cpus]
      .sort((a, b) => load(a) - load(b) || a - b)
      .slice(0, count)
      .sort((a, b) => a - b);
  }
}
