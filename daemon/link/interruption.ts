/**
 * `rch cancel` of one job: a tool that runs is sent what Ctrl-C would send it, and gets a moment to end by that, since
 * what it did until then returns. After it, and where none runs yet, everything is ended at once.
 */
import { constants } from 'node:os';
import type { AgentMessage } from '../../src/protocol/agent.ts';

/** ms for a tool to end when it was interrupted. */
const MOMENT = 5000;
/** Beyond what a launcher counts up to, so that the agent takes it whatever was sent before, and nothing after it. */
const LAST_SIGNAL = 0xffffffff;

type Agent = { readonly send: (message: AgentMessage) => unknown };

export class Interruption {
  readonly #job: Buffer;
  readonly #agent: Agent;
  readonly #end: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** `end` ends everything at once. */
  constructor(job: Buffer, agent: Agent, end: () => void) {
    this.#job = job;
    this.#agent = agent;
    this.#end = end;
  }

  /** What Ctrl-C would send. */
  get signal(): Extract<AgentMessage, { type: 'signal' }> {
    const signo = constants.signals.SIGINT;
    return { type: 'signal', job: this.#job, signo, count: LAST_SIGNAL };
  }

  /** `runs`: the tool has started, and its results have not been asked for yet. */
  begin(runs: boolean): void {
    if (!runs) {
      this.#end();
      return;
    }
    this.#agent.send(this.signal);
    this.#timer ??= setTimeout(this.#end, MOMENT);
  }

  over(): void {
    clearTimeout(this.#timer);
  }
}
