/** What the user wants of each worker, beyond what its configuration says. Kept in mandates.json in the state folder. */
import { z } from 'zod';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { mandates, type Mandate } from '../lifecycle/health.ts';
import type { Complain } from './history.ts';
import { readState, writeState } from './state-file.ts';

const shape = z.record(z.string(), z.enum(mandates));

export class Mandates {
  readonly #path: string;
  readonly #orders: Map<string, Mandate>;

  private constructor(path: string, orders: Readonly<Record<string, Mandate>>) {
    this.#path = path;
    this.#orders = new Map(Object.entries(orders));
  }

  static open(path: string, complain: Complain): Mandates {
    return new Mandates(path, readState(path, shape, complain) ?? {});
  }

  of(worker: string): Mandate {
    return this.#orders.get(worker) ?? 'enabled';
  }

  /** Fails when it cannot be written down: then nothing has changed. */
  set(worker: string, mandate: Mandate): Result<undefined> {
    const orders = new Map(this.#orders);
    if (mandate === 'enabled') orders.delete(worker);
    else orders.set(worker, mandate);
    const wrong: { reason?: string } = {};
    writeState(this.#path, Object.fromEntries(orders), (reason) => {
      wrong.reason = reason;
    });
    if (wrong.reason !== undefined) return fail(wrong.reason);
    this.#orders.clear();
    for (const [id, each] of orders) this.#orders.set(id, each);
    return ok(undefined);
  }
}
