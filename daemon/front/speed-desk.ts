/** Keeps the speeds of workers: measured when they are idle, or asked of a cloud_benchmarker (benchmark.url). */
import { ok, type Result } from '../../src/base/result.ts';
import type { Config } from '../../src/config/schema.ts';
import type { WorkerSpeed } from '../../src/protocol/methods.ts';
import type { Speeds } from '../journal/speeds.ts';
import { speedOf } from '../select/speed.ts';
import { cloudScore } from './cloud-scores.ts';
import type { Jobs } from './jobs.ts';
import type { LinkRequests } from './link-requests.ts';
import type { Worker } from './worker.ts';

/** ms that a worker has been there without a job of ours before it is measured unasked. */
const IDLE_FIRST = 600_000;
const HOUR = 3_600_000;

/** Whether a worker that was measured at `at` (ISO 8601) is due again; `hours` 0: never unasked. */
export function measuredLongAgo(at: string | undefined, now: number, hours: number): boolean {
  if (hours === 0) return false;
  return at === undefined || now - Date.parse(at) > hours * HOUR;
}

/** A worker, as far as its speed is concerned. */
export type Measured = Pick<Worker, 'id' | 'state' | 'worker'> & {
  readonly requests: Pick<LinkRequests, 'benchmark'>;
};

export type SpeedParts = {
  readonly fleet: { readonly all: () => readonly Measured[] };
  readonly jobs: Pick<Jobs, 'countOn'>;
  readonly speeds: Pick<Speeds, 'of' | 'set'>;
  readonly config: () => Config | undefined;
  readonly log: (what: string) => void;
};

export class SpeedDesk {
  readonly #parts: SpeedParts;
  readonly #busySince = new Map<string, number>();
  #running = false;

  constructor(parts: SpeedParts) {
    this.#parts = parts;
  }

  /**
   * The score of a worker; undefined before its first measurement. Those of a cloud_benchmarker and our own are on
   * scales of their own: while one is configured its scores alone count, from the first that it gave on.
   */
  scoreOf(worker: string): number | undefined {
    const { fleet, speeds } = this.#parts;
    const speed = speeds.of(worker);
    if (speed === undefined || (speed.facts === null) === this.#asks) return speed?.score;
    const told = fleet.all().some(({ id }) => speeds.of(id)?.facts === null);
    return this.#asks && !told ? speed.score : undefined;
  }

  /** Whether a cloud_benchmarker is asked. */
  get #asks(): boolean {
    return this.#parts.config()?.benchmark.url !== undefined;
  }

  of(worker: string): WorkerSpeed | undefined {
    return this.#parts.speeds.of(worker);
  }

  /** Measures now. */
  async measure(worker: Measured): Promise<Result<WorkerSpeed>> {
    const url = this.#parts.config()?.benchmark.url;
    return url === undefined ? this.#ask(worker) : this.#fetch(worker, url);
  }

  /** Called now and then: measures one worker that is due, if it has been idle for long enough. */
  look(now: number): void {
    const config = this.#parts.config();
    if (this.#running || config === undefined) return;
    const due = this.#parts.fleet.all().find((worker) => this.#due(worker, config, now));
    if (due === undefined) return;
    this.#running = true;
    this.#busySince.set(due.id, now);
    void this.measure(due)
      .then((result) => {
        if (!result.ok) this.#parts.log(`${due.id} was not measured: ${result.failure.reason}`);
      })
      .finally(() => {
        this.#running = false;
      });
  }

  #due(worker: Measured, config: Config, now: number): boolean {
    const { state } = worker;
    // An embedded worker is this machine.
    if (state.kind !== 'connected' || worker.worker.transport === 'embedded') return false;
    if (this.#parts.jobs.countOn(worker.id) > 0 || state.slots.used > 0) {
      this.#busySince.set(worker.id, now);
      return false;
    }
    if (now - Math.max(state.since, this.#busySince.get(worker.id) ?? 0) < IDLE_FIRST) return false;
    const last = this.#parts.speeds.of(worker.id);
    // What somebody else said, or we did, is no measurement of the kind that counts now.
    const at = last !== undefined && (last.facts === null) === this.#asks ? last.at : undefined;
    return measuredLongAgo(at, Date.now(), config.daemon.benchmarkIntervalHours);
  }

  async #ask(worker: Measured): Promise<Result<WorkerSpeed>> {
    const measured = await worker.requests.benchmark();
    if (!measured.ok) return measured;
    return ok(this.#keep(worker, speedOf(measured.value), measured.value));
  }

  async #fetch(worker: Measured, url: string): Promise<Result<WorkerSpeed>> {
    const { state } = worker;
    const names = [worker.id, worker.worker.host ?? ''];
    if (state.kind === 'connected') names.push(state.facts.hostname);
    const score = await cloudScore(url, new Set(names.filter((name) => name !== '')));
    return score.ok ? ok(this.#keep(worker, score.value, null)) : score;
  }

  #keep(worker: Measured, score: number, facts: WorkerSpeed['facts']): WorkerSpeed {
    const speed = { score, at: new Date().toISOString(), facts };
    this.#parts.speeds.set(worker.id, speed);
    return speed;
  }
}
