/** The launcher of one job as its link sees it: on the line, away for a moment but alive, or gone for good. */
import { startTimeOf } from '../../src/base/processes.ts';
import type { LastingPlan } from '../../src/protocol/ipc.ts';
import type { ShimMessage } from '../../src/protocol/shim.ts';
import type { Launcher } from './launchers.ts';

/** Between two looks at a launcher that is not on the line, ms. */
const LOOK_MS = 100;

export type CallerEvents = {
  readonly message: (message: ShimMessage) => void;
  /** It heard `starting`, and does nothing by itself any more. */
  readonly bound: () => void;
  /** Its process has ended, or it went on by itself, which it may until it is bound. Once. */
  readonly gone: () => void;
  /** The last message was taken, or nobody is left to take it. Once. */
  readonly parted: () => void;
};

export class Caller {
  readonly #who: LastingPlan['launcher'];
  readonly #events: CallerEvents;
  #launcher: Launcher | undefined;
  #look: NodeJS.Timeout | undefined;
  /** From here on it does nothing by itself when the connection breaks, but comes back. */
  #bound = false;
  #said = false;
  #over = false;
  #locked: (() => void) | undefined;

  constructor(who: LastingPlan['launcher'], events: CallerEvents) {
    this.#who = who;
    this.#events = events;
  }

  /** It is on the line, in place of any connection before. */
  serve(launcher: Launcher): void {
    const before = this.#launcher;
    this.#launcher = launcher;
    this.#said = false;
    clearInterval(this.#look);
    before?.drop();
    launcher.onMessage = (message) => {
      if (this.#launcher !== launcher) return;
      if (message.type === 'locked') this.#locked?.();
      else if (message.type === 'bound') this.#events.bound();
      else this.#events.message(message);
    };
    launcher.onGone = () => {
      if (this.#launcher === launcher) this.#left();
    };
  }

  /** Has the launcher hold files (latin1); one that finds them busy goes away. Resolves also on abort. */
  async lock(paths: readonly string[], signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#locked = resolve;
      signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
      this.send({ type: 'lock', locks: paths.map((path) => Buffer.from(path, 'latin1')) });
    });
    this.#locked = undefined;
  }

  bind(): void {
    this.#bound = true;
  }

  /** It is not on the line yet; from now on its process is watched. */
  expect(): void {
    this.#bound = true;
    this.#watch();
  }

  send(message: ShimMessage): void {
    this.#launcher?.send(message);
  }

  /** Sends the last message. */
  finish(message: ShimMessage): void {
    this.#said = true;
    if (this.#launcher === undefined) this.#watch();
    else this.#launcher.finish(message);
  }

  /** Nobody need be waited for any more. */
  part(): void {
    clearInterval(this.#look);
    if (this.#over) return;
    this.#over = true;
    this.#events.parted();
  }

  #left(): void {
    this.#launcher = undefined;
    if (this.#said) this.part();
    else if (this.#bound) this.#watch();
    else this.#gone();
  }

  #watch(): void {
    clearInterval(this.#look);
    const look = (): void => {
      if (startTimeOf(this.#who.pid)?.toString() === this.#who.startTime) return;
      clearInterval(this.#look);
      this.#gone();
    };
    this.#look = setInterval(look, LOOK_MS);
    look();
  }

  #gone(): void {
    if (this.#over) return;
    this.#events.gone();
    this.part();
  }
}
