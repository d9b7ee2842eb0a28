/** Questions to a link that wait for its answer. */
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { AgentFacts, BenchmarkFacts } from '../../src/protocol/facts.ts';
import type { Collected, FrontToLink, PlannedRoot, ToldSources } from '../../src/protocol/ipc.ts';

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

  async collect(bytes: number): Promise<Result<Collected>> {
    const reply = await this.ask((request) => ({ type: 'collect', request, bytes }), 600_000);
    if (!reply.ok) return reply;
    return 'contents' in reply.value ? ok(reply.value) : fail('the link answered something else');
  }

  /** Measures how fast it is; takes some seconds there. */
  async benchmark(): Promise<Result<BenchmarkFacts>> {
    const reply = await this.ask((request) => ({ type: 'benchmark', request }), 60_000);
    if (!reply.ok) return reply;
    return 'single' in reply.value ? ok(reply.value) : fail('the link answered something else');
  }

  /** Brings the kept results of a job here. */
  async fetch(job: string): Promise<Result<Fetched>> {
    const reply = await this.ask((request) => ({ type: 'fetch', request, job }), 3_600_000);
    if (!reply.ok) return reply;
    return 'files' in reply.value ? ok(reply.value) : fail('the link answered something else');
  }

  /** Has the link look at a project root; fails where a job is at work in it. */
  async look(root: PlannedRoot, last: string, deadlineMs: number): Promise<Result<ToldSources>> {
    const reply = await this.ask((request) => ({ type: 'look', request, root, last }), deadlineMs);
    if (!reply.ok) return reply;
    return 'look' in reply.value ? ok(reply.value) : fail('the link answered something else');
  }

  answered(request: number, reply: Result<Reply>): void {
    this.#pending.get(request)?.(reply);
  }

  failAll(reason: string): void {
    for (const settle of [...this.#pending.values()]) settle(fail(reason));
  }
}
