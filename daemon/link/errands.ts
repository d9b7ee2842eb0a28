/** What the front asks of a link beside jobs: facts, speed, room, and looks at roots. Each answer names its request. */
import { fail } from '../../src/base/result.ts';
import { agentFacts, benchmarkFacts, type AgentFacts } from '../../src/protocol/facts.ts';
import type { FrontToLink, LinkToFront } from '../../src/protocol/ipc.ts';
import { isSourcePath } from '../plan/needs/source-name.ts';
import { lookThere } from '../sync/look-there.ts';
import type { RootBook } from '../sync/shared-root.ts';
import type { AgentClient } from './agent-client.ts';
import { peerOf } from './peer.ts';

type Of<Type extends FrontToLink['type']> = Extract<FrontToLink, { type: Type }>;

export type ErrandNeeds = {
  readonly client: AgentClient;
  readonly book: RootBook;
  readonly tell: (message: LinkToFront) => void;
  readonly probed: (facts: AgentFacts) => void;
};

export class Errands {
  readonly #needs: ErrandNeeds;

  constructor(needs: ErrandNeeds) {
    this.#needs = needs;
  }

  /** Looks at a root that nobody uses now; a job that commits meanwhile waits for the end of it. */
  async look({ request, last, root: planned }: Of<'look'>): Promise<void> {
    const { book, client, tell } = this.#needs;
    const root = book.get(planned);
    if (root.lock.busy) {
      tell({ type: 'failed', request, reason: 'a job is at work in it' });
      return;
    }
    const held = await root.lock.acquire(true, new AbortController().signal);
    try {
      const since = Date.now();
      const begun = performance.now();
      const there = lookThere(root, peerOf(client));
      const snapshot = await root.look();
      const took = performance.now() - begun;
      if (!snapshot.ok) {
        tell({ type: 'failed', request, reason: snapshot.failure.reason });
        return;
      }
      root.early.keep({ snapshot: snapshot.value, begun, took, there });
      const news = root.early.newsSince(last, snapshot.value.manifest, isSourcePath);
      tell({ type: 'looked', request, told: { ...news, since } });
    } finally {
      held.release();
    }
  }

  async probe({ request, tools }: Of<'probe'>): Promise<void> {
    const { client, tell } = this.#needs;
    const json = Buffer.from(JSON.stringify({ tools }));
    const answer = await client.request((number) => ({ type: 'probe', request: number, json }));
    const facts =
      answer.ok && answer.value.type === 'facts'
        ? agentFacts.safeParse(JSON.parse(answer.value.json.toString('utf8')))
        : undefined;
    if (facts?.success === true) {
      this.#needs.probed(facts.data);
      tell({ type: 'probed', request, facts: facts.data });
    } else {
      const { reason } = answer.ok
        ? fail('the agent answered with bad facts').failure
        : answer.failure;
      tell({ type: 'failed', request, reason });
    }
  }

  async collect({ request, bytes }: Of<'collect'>): Promise<void> {
    const { client, tell } = this.#needs;
    const answer = await client.request((number) => ({
      type: 'collect',
      request: number,
      bytes: BigInt(bytes),
    }));
    if (answer.ok && answer.value.type === 'collected') {
      const { contents, trees, results, held } = answer.value;
      const collected = {
        contents: Number(contents),
        trees: Number(trees),
        results: Number(results),
        held: Number(held),
      };
      tell({ type: 'collected', request, collected });
    } else {
      const reason = answer.ok ? 'the agent did not collect' : answer.failure.reason;
      tell({ type: 'failed', request, reason });
    }
  }

  async benchmark({ request }: Of<'benchmark'>): Promise<void> {
    const { client, tell } = this.#needs;
    const answer = await client.request((number) => ({ type: 'benchmark', request: number }));
    const facts =
      answer.ok && answer.value.type === 'benchmarked'
        ? benchmarkFacts.safeParse(JSON.parse(answer.value.json.toString('utf8')))
        : undefined;
    if (facts?.success === true) tell({ type: 'benchmarked', request, facts: facts.data });
    else {
      const reason = answer.ok ? 'the agent measured nothing' : answer.failure.reason;
      tell({ type: 'failed', request, reason });
    }
  }
}
