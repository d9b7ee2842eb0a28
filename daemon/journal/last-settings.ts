/**
 * By which settings the links of each worker were made last, in links.json in the state folder: a daemon that finds jobs
 * of a worker that is gone from the configuration, or elsewhere now, reaches them by these.
 */
import { z } from 'zod';
import { workerConfig, type WorkerConfig } from '../../src/config/worker-schema.ts';
import type { Complain } from './history.ts';
import { readState, writeState } from './state-file.ts';

const shape = z.array(z.unknown());

export class LastSettings {
  readonly #path: string;
  readonly #complain: Complain;
  #workers: readonly WorkerConfig[];
  #text = '';

  private constructor(path: string, complain: Complain) {
    this.#path = path;
    this.#complain = complain;
    // One by one: another version of rch may know other keys.
    this.#workers = (readState(path, shape, complain) ?? []).flatMap((each) => {
      const worker = workerConfig.safeParse(each);
      return worker.success ? [worker.data] : [];
    });
  }

  static open(path: string, complain: Complain): LastSettings {
    return new LastSettings(path, complain);
  }

  get workers(): readonly WorkerConfig[] {
    return this.#workers;
  }

  keep(workers: readonly WorkerConfig[]): void {
    this.#workers = workers;
    const text = JSON.stringify(workers);
    if (text === this.#text) return;
    this.#text = text;
    writeState(this.#path, workers, this.#complain);
  }
}
