/** Gathers what the agent says a job changed, root by root, as the parts come in. */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { Special } from '../../src/protocol/jobs.ts';
import type { Change, RawPath } from '../../src/tree/manifest.ts';
import { unpackChanges } from '../../src/tree/packed.ts';
import { pathFault, shown } from '../../src/tree/paths.ts';
import type { RootResult } from '../artifacts/take-back.ts';
import { usageOfEnd } from './job-origin.ts';
import { outsideOf } from './outside.ts';

/** Changes of one job that we are willing to hold. */
const MAX_CHANGES = 5_000_000;

type Part = Extract<AgentMessage, { type: 'result' }>;
type Gathered = { readonly changes: Change[]; readonly from: bigint; readonly till: bigint };

export class Results {
  readonly #expected: ReadonlySet<string>;
  readonly #most: number;
  readonly #arriving = new Map<string, Gathered>();
  #specials: readonly Special[] = [];
  /** The path outside the roots for which the tool failed there; '' for none. */
  outside: RawPath = '';
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

  /** Takes what is told with the end; gives the reason when that is not to be believed. */
  ended(message: Extract<AgentMessage, { type: 'ended' }>): string | undefined {
    const usage = usageOfEnd(message);
    if (usage === undefined) return undefined;
    this.outside = outsideOf(usage);
    const { specials = [] } = usage;
    for (const { root, path } of specials) {
      if (!this.#expected.has(root)) return `the worker returns files into ${shown(root)}`;
      const fault = pathFault(path);
      if (fault !== undefined) return `the worker returns ${shown(path)}, which ${fault}`;
    }
    this.#specials = specials;
    return undefined;
  }

  /** What no manifest knows of, of one root. */
  specialsOf(root: string): Special[] {
    return this.#specials.filter((special) => special.root === root);
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
