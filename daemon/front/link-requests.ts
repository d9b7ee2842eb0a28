/** Questions to a link that wait for its answer. */
import { fail, type Result } from '../../src/base/result.ts';
import type { AgentFacts, BenchmarkFacts } from '../../src/protocol/facts.ts';
import type { Collected, FrontToLink, ToldSources } from '../../src/protocol/ipc.ts';

export type Fetched = { readonly files: number; readonly conflicts: readonly string[] };
export type Reply = Collected | AgentFacts | BenchmarkFacts | Fetched | ToldSources;

export class LinkRequests {
  readonly #worker: string;
  readonly #send: (message: FrontToLink) => boolean;
  readonly #pending = new Map<number, (reply: Result<Reply>) => void>();
  #next = 1;

  /** `send`: false when there is no link. */
  constructor(worker: string, send: (message: FrontToLink) => boolean) {
    this.#worker = worker;
    this.#send = send;
  }

  ask(message: (request: number) => FrontToLink, deadlineMs: number): Promise<Result<Reply>> {
    const request = this.#next++;
    return new Promise((resolve) => {
      const settle = (reply: Result<Reply>): void => {
        clearTimeout(timer);
        this.#pending.delete(request);
        resolve(reply);
      };
      const timer = setTimeout(() => {
        settle(fail(`${this.#worker} gave no answer in ${Math.round(deadlineMs / 1000)} s`));
      }, deadlineMs);
      this.#pending.set(request, settle);
      if (!this.#send(message(request))) settle(fail(`the link of ${this.#worker} is gone`));
    });
  }

  answered(request: number, reply: Result<Reply>): void {
    this.#pending.get(request)?.(reply);
  }

  failAll(reason: string): void {
    for (const settle of [...this.#pending.values()]) settle(fail(reason));
  }
}
