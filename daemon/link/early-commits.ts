/**
 * Launchers that are here before the plan of their job: both are sent by the front, but a plan with a long command and a
 * large environment takes longer on its way than a launcher needs to connect.
 */
import type { ShimMessage } from '../../src/protocol/shim.ts';
import type { Launcher } from './launchers.ts';

/** A plan that has not come by then will not come, ms. */
const PATIENCE_MS = 3000;

type Waiting = {
  readonly launcher: Launcher;
  /** What it said meanwhile. */
  readonly said: ShimMessage[];
  readonly timer: NodeJS.Timeout;
  readonly goOn: () => void;
};

export class EarlyCommits {
  readonly #waiting = new Map<string, Waiting>();
  readonly #patienceMs: number;

  constructor(patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
  }

  /** Calls `goOn` once the plan is here or will not come, unless the launcher goes away before. */
  hold(id: string, launcher: Launcher, goOn: () => void): void {
    const said: ShimMessage[] = [];
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      goOn();
    }, this.#patienceMs);
    this.#waiting.set(id, { launcher, said, timer, goOn });
    launcher.onMessage = (message) => void said.push(message);
    launcher.onGone = () => {
      clearTimeout(timer);
      if (this.#waiting.get(id)?.launcher === launcher) this.#waiting.delete(id);
    };
  }

  /** The plan of this job is here. */
  planned(id: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.goOn();
    for (const message of waiting.said) waiting.launcher.onMessage(message);
  }
}
