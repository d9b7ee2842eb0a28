/** What a job says on the caller's standard error besides the tool's own output, by `output.notice` and RCH_VERBOSE. */
import type { Phases, PlannedJob } from '../../src/protocol/ipc.ts';
import { ProgressLine } from './progress.ts';

function ms(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`;
}

const shown = ['queue', 'scan', 'sync', 'start', 'run', 'return'] as const;

/** `queue 1 ms, scan 9 ms, sync 37 ms, run 112 ms, return 21 ms; total 226 ms`. */
export function phasesText(phases: Phases): string {
  const parts = shown.flatMap((name) => {
    const value = phases[name];
    return value === undefined ? [] : [`${name} ${ms(value)}`];
  });
  const total = phases.total === undefined ? [] : [`total ${ms(phases.total)}`];
  return [parts.join(', '), ...total].filter((text) => text !== '').join('; ');
}

export type NoticeWishes = Pick<PlannedJob, 'verbose' | 'notice' | 'dim' | 'remark'>;

export class Notices {
  readonly #plan: NoticeWishes;
  readonly #send: (text: string, always: boolean) => void;
  /** The line that is drawn over and over while a phase is slow. */
  readonly progress: ProgressLine;

  /** `send` takes text for standard error: for a terminal alone, or (`always`) for whatever it is. */
  constructor(plan: NoticeWishes, send: (text: string, always: boolean) => void) {
    this.#plan = plan;
    this.#send = send;
    this.progress = new ProgressLine((text) => {
      if (plan.notice !== 'never') send(text, false);
    });
  }

  /** The caller asked for our words, whatever standard error is. */
  get #asked(): boolean {
    return this.#plan.verbose || this.#plan.notice === 'always';
  }

  /** One step, for RCH_VERBOSE. */
  step(text: string): void {
    if (this.#plan.verbose) this.#send(`rch: ${text}\n`, true);
  }

  /** A file of the user's that stayed as it was, beside the worker's: said in any case. */
  kept(path: string): void {
    this.#send(
      `rch: ${path} changed here meanwhile and was kept; the worker's is beside it\n`,
      this.#asked,
    );
  }

  /** Somebody ended the command by `rch cancel`. */
  cancelled(): void {
    this.progress.end();
    this.#send('rch: cancelled (rch cancel)\n', this.#asked);
  }

  /** A hook of the user's that did not end well: said in any case. */
  hook(trouble: string): void {
    this.#send(`rch: hook ${trouble}\n`, this.#asked);
  }

  /** The one line at the end, where the user wants one. */
  end(worker: string, phases: Phases): void {
    this.#last(`rch: ${worker}: ${phasesText(phases)}`);
    if (this.#plan.remark !== '') this.#last(this.#plan.remark);
  }

  #last(line: string): void {
    if (this.#asked) this.#send(`${line}\n`, true);
    else if (this.#plan.notice === 'auto')
      this.#send(this.#plan.dim ? `\u001b[2m${line}\u001b[0m\n` : `${line}\n`, false);
  }
}
