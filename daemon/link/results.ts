/** Gathers what the agent says a job changed, root by root, as the parts come in. */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { Change } from '../../src/tree/manifest.ts';
import { unpackChanges } from '../../src/tree/packed.ts';
import type { RootResult } from '../artifacts/take-back.ts';

/** Changes of one job in one root that we are willing to hold. */
const MAX_CHANGES = 5_000_000;

type Part = Extract<AgentMessage, { type: 'result' }>;
type Gathered = { readonly changes: Change[]; readonly from: bigint; readonly till: bigint };

export class Results {
  readonly #arriving = new Map<string, Gathered>();
  /** Told whole. After a reconnect the agent tells everything again, maybe while it is placed. */
  readonly #roots = new Map<string, Gathered>();

  /** Takes a part; gives the reason when it is not to be believed. */
  add(part: Part): string | undefined {
    const root = this.#arriving.get(part.root) ?? { changes: [], from: part.from, till: part.till };
    this.#arriving.set(part.root, root);
    const changes = unpackChanges(part.changes);
    if (!changes.ok) return `the worker's list of changes is bad: ${changes.failure.reason}`;
    for (const change of changes.value) root.changes.push(change);
    if (root.changes.length > MAX_CHANGES)
      return 'the worker claims to have changed too many files';
    if (part.last) {
      this.#roots.set(part.root, root);
      this.#arriving.delete(part.root);
    }
    return undefined;
  }

  /** The agent begins to tell everything anew. */
  restart(): void {
    this.#arriving.clear();
  }

  /** Temporary folders in which the job left something. */
  get temporaries(): string[] {
    return [...this.#roots.keys()].filter((root) => root.startsWith('/'));
  }

  of(root: string): RootResult {
    return this.#roots.get(root) ?? { changes: [], from: 0n, till: -1n };
  }
}
