/**
 * A command that is to end: by `rch cancel`, or by a signal that its caller got.
 *
 * `rch cancel`: a tool that runs is sent what Ctrl-C would send it, and gets a moment to end by that, since what it did until
 * then returns. After it, and where none runs yet, everything is ended at once. So too where the caller got a signal, and
 * the worker is away or hears nothing: here nobody would have to wait for a tool that cannot be told.
 */
import { constants } from 'node:os';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { AgentClient } from './agent-client.ts';
import type { JobEvent } from './job-state.ts';

/** ms for a tool to end when it was interrupted, and for a worker to take a signal. */
const MOMENT = 5000;
/** ms after which a second signal is obeyed at once, where the worker took no notice of the first. */
const IMPATIENT = 1000;
/** ms between questions whether it did. */
const ASK = 1000;
/** Beyond what a launcher counts up to, so that the agent takes it whatever was sent before, and nothing after it. */
const LAST_SIGNAL = 0xffffffff;

const { SIGINT, SIGTERM, SIGHUP, SIGQUIT } = constants.signals;
const endings: readonly number[] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

type Agent = Pick<AgentClient, 'send' | 'request'>;

/** A signal of which it is not known that the worker took it. */
type Unheard = {
  readonly since: number;
  readonly late: NodeJS.Timeout;
  readonly ask: NodeJS.Timeout;
};

export class Interruption {
  readonly #job: Buffer;
  readonly #agent: Agent;
  readonly #handle: (event: JobEvent) => void;
  #timer: NodeJS.Timeout | undefined;
  #unheard: Unheard | undefined;

  /** `handle` is told when everything is to end at once. */
  constructor(job: Buffer, agent: Agent, handle: (event: JobEvent) => void) {
    this.#job = job;
    this.#agent = agent;
    this.#handle = handle;
  }

  /** What Ctrl-C would send. */
  get signal(): Extract<AgentMessage, { type: 'signal' }> {
    return { type: 'signal', job: this.#job, signo: SIGINT, count: LAST_SIGNAL };
  }

  /** `runs`: the tool has started, and its results have not been asked for yet. */
  begin(runs: boolean): void {
    if (!runs) {
      this.#end(undefined);
      return;
    }
    this.#agent.send(this.signal);
    this.#timer ??= setTimeout(() => {
      this.#end(undefined);
    }, MOMENT);
  }

  /** The caller said something that the worker was told, or will be when it is back. */
  passed(message: AgentMessage): void {
    if (message.type !== 'signal' || !endings.includes(message.signo)) return;
    const end = (): void => {
      this.#end(message.signo);
    };
    if (this.#unheard === undefined) {
      const late = setTimeout(end, MOMENT);
      const ask = setInterval(this.#ask, ASK);
      this.#unheard = { since: performance.now(), late, ask };
    } else if (performance.now() - this.#unheard.since > IMPATIENT) {
      end();
      return;
    }
    this.#ask();
  }

  over(): void {
    clearTimeout(this.#timer);
    this.#heard();
  }

  #end(signal: number | undefined): void {
    this.#heard();
    this.#handle({ type: 'cancelled', signal });
  }

  /** The agent takes what it is told in the order in which it is told, and answers. */
  readonly #ask = (): void => {
    void this.#agent
      .request((request) => ({ type: 'ping', request }))
      .then(({ ok }) => {
        if (ok) this.#heard();
      });
  };

  #heard(): void {
    clearTimeout(this.#unheard?.late);
    clearInterval(this.#unheard?.ask);
    this.#unheard = undefined;
  }
}
