/**
 * The last word to the agent about each job, kept until the agent has heard it: what was just said is lost with a
 * connection that breaks, and a job may be over here long before the next one stands. They end with the link. What a
 * link left in its files gets its word from the next one; all else an agent ends itself once it has waited long enough.
 */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { AgentClient } from './agent-client.ts';

/** Words for a worker that does not come back; the oldest go first. */
const MOST_UNHEARD = 10_000;

export type LastWord = Extract<AgentMessage, { type: 'kill' | 'finish' }>;

export class LastWords {
  readonly #client: Pick<AgentClient, 'send' | 'request'>;
  /** By the job, in hex; the newest last. */
  readonly #unheard = new Map<string, LastWord>();

  constructor(client: Pick<AgentClient, 'send' | 'request'>) {
    this.#client = client;
  }

  /** `kill`: nobody wants the job any more. `finish`: everything of it is here. */
  say(word: LastWord): void {
    const job = word.job.toString('hex');
    this.#unheard.delete(job);
    this.#unheard.set(job, word);
    const [oldest] = this.#unheard.keys();
    if (this.#unheard.size > MOST_UNHEARD && oldest !== undefined) this.#unheard.delete(oldest);
    void this.#tell([word]);
  }

  /** There is a connection: says everything again that may not have been heard. */
  repeat(): void {
    if (this.#unheard.size > 0) void this.#tell([...this.#unheard.values()]);
  }

  async #tell(words: readonly LastWord[]): Promise<void> {
    for (const word of words) if (!this.#client.send(word)) return;
    // The agent takes what is said to it in order, so one that answers has heard all before.
    const answer = await this.#client.request((request) => ({ type: 'ping', request }));
    if (!answer.ok) return;
    for (const word of words) {
      const job = word.job.toString('hex');
      if (this.#unheard.get(job) === word) this.#unheard.delete(job);
    }
  }
}
