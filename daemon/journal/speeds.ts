/** Speeds of workers, as measured or as somebody else's benchmark says. Kept in speeds.json in the state folder. */
import { z } from 'zod';
import { workerSpeed, type WorkerSpeed } from '../../src/protocol/methods.ts';
import type { Complain } from './history.ts';
import { readState, writeState } from './state-file.ts';

export class Speeds {
  readonly #path: string;
  readonly #complain: Complain;
  readonly #speeds = new Map<string, WorkerSpeed>();

  private constructor(path: string, complain: Complain) {
    this.#path = path;
    this.#complain = complain;
  }

  static open(path: string, complain: Complain): Speeds {
    const speeds = new Speeds(path, complain);
    const known = readState(path, z.record(z.string(), workerSpeed), complain) ?? {};
    for (const [worker, each] of Object.entries(known)) speeds.#speeds.set(worker, each);
    return speeds;
  }

  of(worker: string): WorkerSpeed | undefined {
    return this.#speeds.get(worker);
  }

  set(worker: string, value: WorkerSpeed): void {
    this.#speeds.set(worker, value);
    writeState(this.#path, Object.fromEntries(this.#speeds), this.#complain);
  }
}
