/**
 * Callers that see other files or processes than the daemon. One that a container or a sandbox started (toolbox, a
 * service with a private /tmp) would stay there when that is over, and keep everything of everybody else here.
 */
import { ownView } from '../../src/base/view.ts';
import { SHIM_PROTOCOL, type Ask } from '../../src/protocol/shim.ts';

/** ms without a question from where the daemon is, after which it is in the wrong place for one who asks from elsewhere. */
export const FORSAKEN_MS = 10 * 60_000;

export type Strangeness = {
  readonly reason: string;
  /** A process id of the caller's means nothing here, so that no lease can be watched. */
  readonly unknown: boolean;
};

/** The part of a view (src/base/view.ts) that says which processes are seen. */
const processesOf = (view: string): string => view.split(' ')[0] ?? '';

export class Strangers {
  readonly #own: string;
  readonly #leave: () => void;
  readonly #now: () => number;
  /** When somebody last asked from where the daemon is; at first, when that began. */
  #ownAt: number;

  /** `leave` ends the daemon, so that the next caller starts one where it is itself. */
  constructor(leave: () => void, own = ownView(), now: () => number = () => performance.now()) {
    this.#leave = leave;
    this.#own = own;
    this.#now = now;
    this.#ownAt = now();
  }

  /** Why nothing of what a caller says can be acted on; `idle`: nothing would be lost if the daemon ended. */
  of({ protocol, view }: Pick<Ask, 'protocol' | 'view'>, idle: boolean): Strangeness | undefined {
    if (protocol !== SHIM_PROTOCOL)
      return {
        reason: `another version of rch asked (protocol ${protocol}, here ${SHIM_PROTOCOL})`,
        unknown: true,
      };
    if (view === this.#own) {
      this.#ownAt = this.#now();
      return undefined;
    }
    if (idle && this.#now() - this.#ownAt > FORSAKEN_MS) this.#leave();
    const unknown = view === '' || processesOf(view) !== processesOf(this.#own);
    return { reason: 'the caller sees other files or processes: a container or chroot', unknown };
  }
}
