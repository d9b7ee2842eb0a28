/**
 * What an agent must hear of a job that is over here: until it does, it holds the job's slots and trees, in the end as
 * long as for an owner that stays away. Said again over the next connection where the one before may have ended first.
 */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { AgentClient } from './agent-client.ts';

type Word = Extract<AgentMessage, { type: 'finish' | 'kill' }>;

export class LastWords {
  readonly #agent: () => Pick<AgentClient, 'send' | 'request'>;
  /** Of which nobody knows yet whether they were heard. */
  readonly #said = new Set<Word>();

  constructor(agent: () => Pick<AgentClient, 'send' | 'request'>) {
    this.#agent = agent;
  }

  say(word: Word): void {
    this.#said.add(word);
    void this.#send(word);
  }

  /** There is a new connection: both words change nothing of a job that had heard them. */
  again(): void {
    for (const word of this.#said) void this.#send(word);
  }

  async #send(word: Word): Promise<void> {
    if (!this.#agent().send(word)) return;
    // A stream is read in order: whoever answers what came after it has heard it.
    const answer = await this.#agent().request((request) => ({ type: 'ping', request }));
    if (answer.ok) this.#said.delete(word);
  }
}
