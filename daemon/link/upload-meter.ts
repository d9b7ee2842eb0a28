/** Watches uploads to one worker: how fast they go, and whether one is worth its time. */
import { rateOf, TELLING_MS, tooDear } from '../select/upload.ts';

/** ms at the beginning that say nothing: what goes then fills buffers on the way. */
const FILLING = 2000;
/** ms for which the rate of an upload says something about the next. */
const LASTS = 600_000;

/** The rate of the last upload to a worker. */
export class Pace {
  #last: { readonly rate: number; readonly at: number } | undefined;

  note(rate: number, at: number): void {
    this.#last = { rate, at };
  }

  /** Bytes a ms, as measured not long before `now` (ms). */
  at(now: number): number | undefined {
    return this.#last === undefined || now - this.#last.at > LASTS ? undefined : this.#last.rate;
  }
}

export type MeterNeeds = {
  readonly pace: Pace;
  /** About what the command takes here, ms; 0: it goes whatever the upload takes. */
  readonly hereMs: number;
  /** ms of a monotonic clock. */
  readonly now: () => number;
  /** It is not worth it, for that reason. Once. */
  readonly dear: (reason: string) => void;
};

/** The uploads of one job, one after another. */
export class UploadMeter {
  readonly #needs: MeterNeeds;
  /** From when on it is measured, and how much had gone by then. */
  #since = 0;
  #before = 0;
  #total = -1;
  #moved = 0;
  #over = false;

  constructor(needs: MeterNeeds) {
    this.#needs = needs;
  }

  /** So many bytes of an upload went; a smaller number, or another total, is of the next one. */
  moved(moved: number, total: number): void {
    const { pace, hereMs, dear } = this.#needs;
    const now = this.#needs.now();
    if (total !== this.#total || moved < this.#moved) this.#since = now + FILLING;
    if (now <= this.#since) this.#before = moved;
    this.#total = total;
    this.#moved = moved;
    const ms = Math.max(0, now - this.#since);
    const upload = { left: total - moved, moved: moved - this.#before, ms, before: pace.at(now) };
    if (ms >= TELLING_MS) pace.note(rateOf(upload) ?? 0, now);
    const reason = this.#over ? undefined : tooDear(upload, hereMs);
    if (reason === undefined) return;
    this.#over = true;
    dear(reason);
  }
}
