/**
 * The commands that hold a local lease, so that a daemon which was killed finds them again: leases.json in the state
 * folder, written anew when they change.
 */
import { z } from 'zod';
import { priorities } from '../../src/config/waiting-schema.ts';
import type { Complain } from './history.ts';
import { readState, writeState } from './state-file.ts';

/** As the lease desk knows one; the start time in clock ticks since boot. */
const held = z.object({
  id: z.string(),
  pid: z.number(),
  startTime: z.string().regex(/^\d{1,20}$/),
  ppid: z.number(),
  command: z.string(),
  cwd: z.string(),
  caller: z.object({ key: z.string(), name: z.string() }),
  priority: z.enum(priorities),
  cores: z.number(),
});
export type HeldLease = Omit<z.infer<typeof held>, 'startTime'> & { readonly startTime: bigint };

export class LeaseFile {
  readonly #path: string;
  readonly #complain: Complain;
  #written = '[]';

  constructor(path: string, complain: Complain) {
    this.#path = path;
    this.#complain = complain;
  }

  /** Those of the daemon before this one; the caller sees which of them still live. */
  read(): HeldLease[] {
    const leases = readState(this.#path, z.array(held), this.#complain) ?? [];
    this.#written = JSON.stringify(leases);
    return leases.map((each) => ({ ...each, startTime: BigInt(each.startTime) }));
  }

  /** Writes them down unless they are what was written last. */
  keep(leases: readonly HeldLease[]): void {
    const plain = leases.map((each) => ({ ...each, startTime: each.startTime.toString() }));
    const text = JSON.stringify(plain);
    if (text === this.#written) return;
    this.#written = text;
    writeState(this.#path, plain, this.#complain);
  }
}
