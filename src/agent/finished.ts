/**
 * Finds, while a command runs, the files it seems to have finished: made since it began, unchanged from one look to
 * the next, and open for writing by none of its processes. That is a guess which costs nothing when it is wrong: what
 * counts is the scan at the end. Each look may take one part in fifty of the time, in a process of low priority.
 */
import { performance } from 'node:perf_hooks';
import type { AgentMessage } from '../protocol/agent.ts';
import { FsHelper } from '../tree/fs-helper.ts';
import type { Hasher } from '../tree/hash.ts';
import type { Hash, RawPath } from '../tree/manifest.ts';
import { absolute } from '../tree/paths.ts';
import type { Identity, ScanRecord } from '../tree/scan.ts';
import type { Content } from './blobs-out.ts';
import { coveredIn, type JobPlan } from './job-plan.ts';
import { filesWrittenBelow } from './writers.ts';

/** From the start to the first look, and between two, at least, ms. */
const FIRST_MS = 1000;
const EVERY_MS = 500;
/** A look is followed by a wait of so many times its length. */
const SHARE = 50;
/** Smaller files come at the end: there is little to gain, bytes. */
const LEAST_BYTES = 64 * 1024;
/** Bytes hashed after one look. */
const MOST_HASHED = 512 * 1024 * 1024;
/** nice(2) of the process that looks. */
const NICENESS = 19;

export type FinishedRoot = {
  readonly treePath: Buffer;
  /** What is not looked at: caches, and where other roots are mounted. */
  readonly skip: readonly RawPath[];
};

export type FinishedNeeds = {
  readonly roots: readonly FinishedRoot[];
  /** `rch-run` of the job. */
  readonly pid: number;
  /** When the tool began, on the machine's clock, ns. */
  readonly from: bigint;
  /** The path of `rch-fs`. */
  readonly helper: string;
  readonly hasher: Hasher;
  readonly tell: (contents: readonly Content[]) => void;
};

type Watched = {
  readonly root: FinishedRoot;
  readonly number: number;
  /** Files that changed, and whether they have stood still since the look before. */
  readonly candidates: Map<RawPath, { readonly identity: Identity; still: boolean }>;
};

export class Finished {
  readonly #needs: FinishedNeeds;
  readonly #helper: FsHelper;
  readonly #watched: Watched[];
  readonly #contents = new Map<Hash, Content>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(needs: FinishedNeeds) {
    this.#needs = needs;
    this.#helper = new FsHelper(needs.helper, { niceness: NICENESS });
    this.#watched = needs.roots.map((root) => ({
      root,
      number: this.#helper.newTree(),
      candidates: new Map(),
    }));
    this.#timer = setTimeout(() => void this.#look(), FIRST_MS);
  }

  /** Where the content of that hash was, if it was told. */
  content(hash: Hash): Content | undefined {
    return this.#contents.get(hash);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#helper.close();
  }

  async #look(): Promise<void> {
    const began = performance.now();
    for (const watched of this.#watched) {
      const { root, number } = watched;
      const scan = await this.#helper.scan(number, root.treePath, { skip: root.skip });
      if (this.#stopped || !scan.ok) return;
      this.#take(watched, scan.value.records);
    }
    const ms = performance.now() - began;
    for (const watched of this.#watched) await this.#tell(watched);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#look(), Math.max(EVERY_MS, SHARE * ms));
  }

  #take({ candidates }: Watched, records: readonly ScanRecord[]): void {
    for (const candidate of candidates.values()) candidate.still = true;
    for (const record of records) {
      candidates.delete(record.path);
      if (record.kind !== 'file') continue;
      const { identity } = record;
      if (identity.size < LEAST_BYTES || identity.ctime < this.#needs.from) continue;
      candidates.set(record.path, { identity, still: false });
    }
  }

  async #tell({ root, candidates }: Watched): Promise<void> {
    const still = [...candidates].filter((candidate) => candidate[1].still);
    if (still.length === 0) return;
    const written = filesWrittenBelow([this.#needs.pid]);
    let bytes = 0;
    const ready = still.flatMap(([path, { identity }]) => {
      const open = written.has(`${identity.dev} ${identity.ino}`);
      if (open || bytes + identity.size > MOST_HASHED) return [];
      bytes += identity.size;
      return [{ path, identity }];
    });
    const outcomes = await this.#needs.hasher.hashFiles(root.treePath, ready);
    if (this.#stopped) return;
    const told: Content[] = [];
    for (const [at, { path, identity }] of ready.entries()) {
      candidates.delete(path);
      const outcome = outcomes[at];
      if (outcome?.outcome !== 'hashed' || this.#contents.has(outcome.hash)) continue;
      const { hash } = outcome;
      const content = { hash, size: identity.size, path: absolute(root.treePath, path) };
      this.#contents.set(hash, content);
      told.push(content);
    }
    if (told.length > 0) this.#needs.tell(told);
  }
}

/**
 * Watches the files of a job from its start on; not those of one that runs beside others, which is over soon, and
 * whose trees others change.
 */
export function watchFiles(
  plan: JobPlan,
  of: Omit<FinishedNeeds, 'roots' | 'tell' | 'pid'> & { readonly pid: number | undefined },
  send: (message: AgentMessage) => void,
): Finished | undefined {
  const { pid } = of;
  if (plan.spec.concurrent === true || pid === undefined) return undefined;
  const roots = plan.roots
    .filter(({ readOnly }) => !readOnly)
    .map((each) => ({
      treePath: each.root.treePath,
      skip: [...each.root.caches, ...coveredIn(plan, each)],
    }));
  return new Finished({
    ...of,
    pid,
    roots,
    tell: (contents) => {
      const sizes = Buffer.alloc(8 * contents.length);
      for (const [at, { size }] of contents.entries()) sizes.writeBigUInt64LE(BigInt(size), 8 * at);
      const hashes = Buffer.concat(contents.map(({ hash }) => Buffer.from(hash, 'hex')));
      send({ type: 'ready', job: plan.id, hashes, sizes });
    },
  });
}
