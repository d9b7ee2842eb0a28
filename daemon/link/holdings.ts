/** What one job holds here: its roots, the file that outlives its link, and what came back. */
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { BlobPacker } from '../../src/protocol/blob-packer.ts';
import {
  lastingPlan,
  type JobOutcome,
  type LinkToFront,
  type PlannedJob,
} from '../../src/protocol/ipc.ts';
import type { FsHelper } from '../../src/tree/fs-helper.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { Hasher } from '../../src/tree/hash.ts';
import type { StampRule } from '../../src/tree/stamps.ts';
import type { RedoJournal } from '../artifacts/redo.ts';
import type { Spool } from '../artifacts/spool.ts';
import type { JobFile, JobRecord, PlacingRule } from '../journal/job-file.ts';
import type { HeldRoot } from '../sync/prepare.ts';
import { seenIn } from '../sync/seen.ts';
import type { RootBook } from '../sync/shared-root.ts';
import type { AgentClient } from './agent-client.ts';
import { temporariesFrom, type JobOrigin } from './job-origin.ts';
import { isForsaken } from './forsaken.ts';
import type { LastWords } from './last-words.ts';
import type { Results } from './results.ts';
import { temporariesOf } from './outside.ts';
import { Returning, type Returned } from './returning.ts';
import { sharedLine } from './shared-run.ts';
import type { Shared } from './twins.ts';
import type { Reunion } from './reunion.ts';

type Done = Extract<LinkToFront, { type: 'done' }>;

export type HoldingsNeeds = {
  readonly client: AgentClient;
  readonly lastWords: LastWords;
  readonly packer: BlobPacker;
  readonly book: RootBook;
  readonly spool: Spool;
  readonly helper: FsHelper;
  readonly redo: RedoJournal;
  readonly spoolFolder: string;
  readonly hasher: Hasher;
  readonly file: JobFile;
};

export class Holdings {
  /** Bytes that came over the wire. */
  received = 0;
  readonly #origin: JobOrigin;
  readonly #needs: HoldingsNeeds;
  readonly #id: Buffer;
  readonly #abort = new AbortController();
  readonly #returning: Returning;
  #roots: Promise<readonly HeldRoot[]> = Promise.resolve([]);
  #settling: Promise<void> = Promise.resolve();
  #released: Promise<void> | undefined;
  #written: boolean;
  /** The agent knows nothing of this job. */
  #elsewhere = false;

  constructor(
    origin: JobOrigin,
    needs: HoldingsNeeds,
    told: { readonly results: Results; readonly reunion: Reunion },
  ) {
    this.#origin = origin;
    this.#needs = needs;
    this.#written = origin.from === 'file';
    this.#returning = this.#returningOf(told);
    if (origin.from === 'front') {
      this.#id = Buffer.from(origin.plan.job, 'hex');
      return;
    }
    this.#id = Buffer.from(origin.record.run.plan.job, 'hex');
    this.#elsewhere = origin.record.shared !== undefined;
    this.#roots = holdAgain(origin.record, needs.book, this.#abort.signal);
    this.#roots.catch(() => undefined);
  }

  /** The job is about to run with these roots: writes down what a later link needs, if that can be done. */
  prepared(roots: readonly HeldRoot[]): Result<undefined> {
    this.#roots = Promise.resolve(roots);
    const { file } = this.#needs;
    this.#written = this.#origin.from === 'front' && this.#writeRun(this.#origin.plan, roots);
    return this.#written ? ok(undefined) : fail(`the job cannot be written down: ${file.trouble}`);
  }

  /** Another job's run was this one's too: writes down what the launcher is about to be told. */
  shared(shared: Shared): void {
    if (this.#origin.from !== 'front') return;
    this.#elsewhere = true;
    const plan = { ...this.#origin.plan, roots: [] };
    this.#written = this.#writeRun(plan, []) && this.#needs.file.append(sharedLine(shared));
  }

  #writeRun(plan: PlannedJob, roots: readonly HeldRoot[]): boolean {
    const projects = roots.filter((held) => held.plan.policy === 'project');
    return this.#needs.file.append({
      type: 'run',
      version: 1,
      plan: lastingPlan.parse(plan),
      temporaries: temporariesOf(plan.env),
      roots: projects.map(({ root, snapshot }) => ({
        key: root.key,
        scanTime: snapshot.scanTime.toString(),
        seen: Array.from(seenIn(snapshot), ([path, { mtime, hash }]) => ({
          ...{ path, hash },
          mtime: mtime.toString(),
        })),
      })),
      at: Date.now(),
      memo: this.#origin.from === 'front' ? this.#origin.memo : undefined,
    });
  }

  /** Writes down how the job ended; of a job that never ran there is nothing to write. */
  over(done: Done): void {
    if (this.#written) this.#needs.file.append({ type: 'done', done });
  }

  /** The agent thinks that some files of the running command are finished. */
  offered(message: Extract<AgentMessage, { type: 'ready' }>): void {
    this.#returning.offered(message);
  }

  /** The command will have no result. */
  giveUp(): Promise<void> {
    return this.#returning.giveUp();
  }

  /** Brings back what the job changed. What it told the agent goes on after it. */
  async take(): Promise<Result<Returned>> {
    const record = this.#origin.from === 'file' ? this.#origin.record : undefined;
    // The link before had all of it in place. What it told the agent nobody knows, so the agent trusts its tree no more.
    if (record?.returned !== undefined) return ok({ ...record.returned, unseen: '' });
    const roots = await this.#roots;
    const taken = await this.#returning.take(roots.filter(({ plan }) => plan.policy === 'project'));
    this.received = this.#returning.received;
    if (!taken.ok) return taken;
    const { conflicts, missedEnv } = taken.value;
    this.#needs.file.append({
      type: 'returned',
      conflicts: [...conflicts],
      missedEnv: [...missedEnv],
    });
    this.#settling = this.#returning.settle();
    return taken;
  }

  #returningOf(told: { readonly results: Results; readonly reunion: Reunion }): Returning {
    const origin = this.#origin;
    const record = origin.from === 'file' ? origin.record : undefined;
    const plan = origin.from === 'file' ? origin.record.run.plan : origin.plan;
    return new Returning({
      ...this.#needs,
      ...told,
      folder: this.#needs.spoolFolder,
      temporaries: temporariesFrom(origin),
      job: plan.job,
      withheld: new Set(plan.withheld),
      recovered: record !== undefined,
      rules: rulesOf(record),
      placing: (root, rule) => {
        this.#needs.file.append({ type: 'placing', root, rule: writtenRule(rule) });
      },
    });
  }

  /** Has the agent put the results aside; one that is away does so by itself when it has waited long enough. */
  async keep(reason: string): Promise<boolean> {
    const { client, file } = this.#needs;
    const answer = await client.request((request) => ({ type: 'keep', request, job: this.#id }));
    // A failure while there is a connection is the agent's own word.
    if (!answer.ok && client.connected) return false;
    return file.append({ type: 'kept', reason, since: new Date().toISOString() });
  }

  /** Gives everything back, once the launcher has the end; settles when it is done. */
  release(outcome: JobOutcome): Promise<void> {
    this.#released ??= this.#release(outcome);
    return this.#released;
  }

  async #release(outcome: JobOutcome): Promise<void> {
    this.#abort.abort();
    await this.#settling.catch(() => undefined);
    const roots = await this.#roots.catch(() => []);
    if (isForsaken(outcome)) for (const held of roots) held.root.distrust();
    else if (outcome.kind !== 'local' && !this.#elsewhere)
      this.#needs.lastWords.say({ type: 'finish', job: this.#id });
    for (const held of roots) held.release();
  }
}

/**
 * The roots of a job that a link before this one prepared: held again, so that no other job gets at them. Takes their
 * locks in the order of the call.
 */
export function holdAgain(
  record: JobRecord,
  book: RootBook,
  signal: AbortSignal,
): Promise<HeldRoot[]> {
  const scans = new Map(record.run.roots.map((scan) => [scan.key, scan]));
  return Promise.all(
    record.run.plan.roots.map(async (plan): Promise<HeldRoot> => {
      const root = book.get(plan);
      const shares = plan.policy === 'project' && record.run.plan.outputs !== undefined;
      const hold = await root.lock.acquire(plan.policy === 'project' && !shares, signal);
      const { edits, end } = root.watch(record.run.plan.outputFiles);
      const { scanTime = '0', seen = [] } = scans.get(root.key) ?? {};
      return {
        root,
        plan,
        snapshot: { manifest: new Map(), scanTime: BigInt(scanTime), newest: 0n },
        seen: new Map(seen.map(({ path, mtime, hash }) => [path, { mtime: BigInt(mtime), hash }])),
        edits,
        shares,
        alone: async (work) => {
          const look = await root.looking.acquire(true, new AbortController().signal);
          return work().finally(look.release);
        },
        release: () => {
          end();
          hold.release();
        },
      };
    }),
  );
}

function writtenRule({ from, till, offset, floor, cap }: StampRule): PlacingRule {
  return {
    from: from.toString(),
    till: till.toString(),
    offset: offset.toString(),
    floor: floor.toString(),
    cap: cap.toString(),
  };
}

/** The rules by which an earlier link began to place, by root key. */
export function rulesOf(record: JobRecord | undefined): Map<string, StampRule> {
  const rules = new Map<string, StampRule>();
  for (const [root, { from, till, offset, floor, cap }] of record?.placing ?? [])
    rules.set(root, {
      from: BigInt(from),
      till: BigInt(till),
      offset: BigInt(offset),
      floor: BigInt(floor),
      cap: BigInt(cap),
    });
  return rules;
}
