/** Gathers what the agent says a job changed, root by root, as the parts come in. */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { Change } from '../../src/tree/manifest.ts';
import { unpackChanges } from '../../src/tree/packed.ts';
import { shown } from '../../src/tree/paths.ts';
import type { RootResult } from '../artifacts/take-back.ts';

/** Changes of one job that we are willing to hold. */
const MAX_CHANGES = 5_000_000;

type Part = Extract<AgentMessage, { type: 'result' }>;
type Gathered = { readonly changes: Change[]; readonly from: bigint; readonly till: bigint };

export class Results {
  readonly #expected: ReadonlySet<string>;
  readonly #most: number;
  readonly #arriving = new Map<string, Gathered>();
  /** Told whole. After a reconnect the agent tells everything again, maybe while it is placed. */
  readonly #roots = new Map<string, Gathered>();

  /** `expected`: keys of the roots that the job may change, and its temporary folders. */
  constructor(expected: readonly string[], most = MAX_CHANGES) {
    this.#expected = new Set(expected);
    this.#most = most;
  }

  /** Takes a part; gives the reason when it is not to be believed. */
  add(part: Part): string | undefined {
    if (!this.#expected.has(part.root)) return `the worker returns files into ${shown(part.root)}`;
    const root = this.#arriving.get(part.root) ?? { changes: [], from: part.from, till: part.till };
    this.#arriving.set(part.root, root);
    const changes = unpackChanges(part.changes);
    if (!changes.ok) return `the worker's list of changes is bad: ${changes.failure.reason}`;
    for (const change of changes.value) root.changes.push(change);
    if (this.#told > this.#most) return 'the worker claims to have changed too many files';
    if (part.last) {
      this.#roots.set(part.root, root);
      this.#arriving.delete(part.root);
    }
    return undefined;
  }

  /** What was told before is not counted beside what is told anew. */
  get #told(): number {
    return [...new Map([...this.#roots, ...this.#arriving]).values()].reduce(
      (sum, { changes }) => sum + changes.length,
      0,
    );
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
