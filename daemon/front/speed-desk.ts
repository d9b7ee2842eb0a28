/** Keeps the speeds of workers: measured when they are idle, or asked of a cloud_benchmarker (benchmark.url). */
import { z } from 'zod';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import type { Config } from '../../src/config/schema.ts';
import type { WorkerSpeed } from '../../src/protocol/methods.ts';
import type { Speeds } from '../journal/speeds.ts';
import { speedOf } from '../select/speed.ts';
import type { Fleet } from './fleet.ts';
import type { Jobs } from './jobs.ts';
import type { Worker } from './worker.ts';

/** ms that a worker has been there without a job of ours before it is measured unasked. */
const IDLE_FIRST = 600_000;
const HOUR = 3_600_000;
const URL_DEADLINE = 10_000;
/** Bytes of an answer that are read at most. */
const URL_BYTES = 1_000_000;

/** What cloud_benchmarker answers at /data/overall/, as far as it is used. */
const scores = z.array(z.object({ hostname: z.string(), overall_score: z.number().nonnegative() }));

/** Whether a worker that was measured at `at` (ISO 8601) is due again; `hours` 0: never unasked. */
export function measuredLongAgo(at: string | undefined, now: number, hours: number): boolean {
  if (hours === 0) return false;
  return at === undefined || now - Date.parse(at) > hours * HOUR;
}

export type SpeedParts = {
  readonly fleet: Fleet;
  readonly jobs: Jobs;
  readonly speeds: Speeds;
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

  /** The score of a worker; undefined before its first measurement. */
  scoreOf(worker: string): number | undefined {
    return this.#parts.speeds.of(worker)?.score;
  }

  of(worker: string): WorkerSpeed | undefined {
    return this.#parts.speeds.of(worker);
  }

  /** Measures now. */
  async measure(worker: Worker): Promise<Result<WorkerSpeed>> {
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

  #due(worker: Worker, config: Config, now: number): boolean {
    const { state } = worker;
    // An embedded worker is this machine.
    if (state.kind !== 'connected' || worker.worker.transport === 'embedded') return false;
    if (this.#parts.jobs.countOn(worker.id) > 0 || state.slots.used > 0) {
      this.#busySince.set(worker.id, now);
      return false;
    }
    if (now - Math.max(state.since, this.#busySince.get(worker.id) ?? 0) < IDLE_FIRST) return false;
    const last = this.#parts.speeds.of(worker.id);
    return measuredLongAgo(last?.at, Date.now(), config.daemon.benchmarkIntervalHours);
  }

  async #ask(worker: Worker): Promise<Result<WorkerSpeed>> {
    const measured = await worker.requests.benchmark();
    if (!measured.ok) return measured;
    return ok(this.#keep(worker, speedOf(measured.value), measured.value));
  }

  async #fetch(worker: Worker, url: string): Promise<Result<WorkerSpeed>> {
    const place = `${url.replace(/\/+$/, '')}/data/overall/`;
    let text: string;
    try {
      const answer = await fetch(place, { signal: AbortSignal.timeout(URL_DEADLINE) });
      if (!answer.ok) return fail(`${place} answered ${answer.status}`, 'check benchmark.url');
      text = await answer.text();
    } catch (thrown) {
      return fail(`${place} cannot be read: ${messageOf(thrown)}`, 'check benchmark.url');
    }
    if (text.length > URL_BYTES) return fail(`${place} answered too much`);
    const parsed = parse(text);
    if (!parsed.success) return fail(`${place} did not answer with scores of cloud_benchmarker`);
    const names = new Set([worker.id, worker.worker.host ?? '']);
    if (worker.state.kind === 'connected') names.add(worker.state.facts.hostname);
    const row = parsed.data.find((each) => names.has(each.hostname));
    if (row === undefined)
      return fail(
        `${place} has no score of ${[...names].filter((name) => name !== '').join(', ')}`,
      );
    return ok(this.#keep(worker, row.overall_score, null));
  }

  #keep(worker: Worker, score: number, facts: WorkerSpeed['facts']): WorkerSpeed {
    const speed = { score, at: new Date().toISOString(), facts };
    this.#parts.speeds.set(worker.id, speed);
    return speed;
  }
}

function parse(text: string): ReturnType<typeof scores.safeParse> {
  try {
    return scores.safeParse(JSON.parse(text));
  } catch {
    return scores.safeParse(undefined);
  }
}
