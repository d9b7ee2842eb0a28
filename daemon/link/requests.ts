/** What the front wants to know of a worker, asked of its agent. */
import { fail } from '../../src/base/result.ts';
import { agentFacts, benchmarkFacts } from '../../src/protocol/facts.ts';
import type { LinkToFront } from '../../src/protocol/ipc.ts';
import type { AgentClient } from './agent-client.ts';

/** Each answers by `tell`, under the number of its request. */
export class AgentRequests {
  readonly #client: AgentClient;
  readonly #tell: (message: LinkToFront) => void;

  constructor(client: AgentClient, tell: (message: LinkToFront) => void) {
    this.#client = client;
    this.#tell = tell;
  }

  async probe(request: number, tools: readonly string[]): Promise<void> {
    const answer = await this.#client.request((number) => ({
      type: 'probe',
      request: number,
      json: Buffer.from(JSON.stringify({ tools })),
    }));
    const facts =
      answer.ok && answer.value.type === 'facts'
        ? agentFacts.safeParse(JSON.parse(answer.value.json.toString('utf8')))
        : undefined;
    if (facts?.success === true) this.#tell({ type: 'probed', request, facts: facts.data });
    else {
      const failure = answer.ok
        ? fail('the agent answered with bad facts').failure
        : answer.failure;
      this.#tell({ type: 'failed', request, reason: failure.reason });
    }
  }

  async collect(request: number, bytes: number): Promise<void> {
    const answer = await this.#client.request((number) => ({
      type: 'collect',
      request: number,
      bytes: BigInt(bytes),
    }));
    if (answer.ok && answer.value.type === 'collected') {
      const { freed, held } = answer.value;
      this.#tell({ type: 'collected', request, freed: Number(freed), held: Number(held) });
    } else {
      const reason = answer.ok ? 'the agent did not collect' : answer.failure.reason;
      this.#tell({ type: 'failed', request, reason });
    }
  }

  async benchmark(request: number): Promise<void> {
    const answer = await this.#client.request((number) => ({ type: 'benchmark', request: number }));
    const facts =
      answer.ok && answer.value.type === 'benchmarked'
        ? benchmarkFacts.safeParse(JSON.parse(answer.value.json.toString('utf8')))
        : undefined;
    if (facts?.success === true) this.#tell({ type: 'benchmarked', request, facts: facts.data });
    else {
      const reason = answer.ok ? 'the agent measured nothing' : answer.failure.reason;
      this.#tell({ type: 'failed', request, reason });
    }
  }
}
