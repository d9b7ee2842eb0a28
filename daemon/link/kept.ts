/** Results that could not be brought back: which there are on this worker, and bringing them here after all. */
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import type { KeptJob, LinkToFront } from '../../src/protocol/ipc.ts';
import { KEPT_MS } from '../../src/protocol/jobs.ts';
import { JobFile, loadJobFiles, type JobRecord } from '../journal/job-file.ts';
import { holdAgain, rulesOf, type HoldingsNeeds } from './holdings.ts';
import { resultsExpected } from './job-origin.ts';
import { Results } from './results.ts';
import { Returning } from './returning.ts';
import { Reunion } from './reunion.ts';

export type Fetched = Omit<Extract<LinkToFront, { type: 'fetched' }>, 'type' | 'request'>;

export type KeptNeeds = Omit<HoldingsNeeds, 'file'> & {
  /** Where the files of this worker's jobs are. */
  readonly folder: string;
  readonly patienceMs: number;
  readonly complain: (what: string) => void;
};

export class KeptJobs {
  readonly #needs: KeptNeeds;
  readonly #jobs = new Map<string, JobRecord>();
  /** Whose results the worker lost, or gave up. */
  readonly #gone = new Set<string>();
  readonly #fetching = new Map<string, Results>();

  constructor(needs: KeptNeeds) {
    this.#needs = needs;
  }

  /** Those that can be fetched. */
  get list(): KeptJob[] {
    const there = [...this.#jobs.values()].filter(({ run }) => !this.#gone.has(run.plan.job));
    return there.map(({ run, kept }) => ({
      job: run.plan.job,
      cwd: run.plan.cwd,
      reason: kept?.reason ?? '',
      since: kept?.since ?? '',
    }));
  }

  /**
   * The agent says whose results it has. Of others the record stays as long as they would have been kept: a home that
   * several machines share has an agent on each, and another one may answer the next time.
   */
  told(jobs: readonly string[] | undefined): void {
    if (jobs === undefined) return;
    this.#gone.clear();
    for (const [job, { kept }] of this.#jobs) {
      if (jobs.includes(job)) continue;
      this.#gone.add(job);
      if (Date.now() - Date.parse(kept?.since ?? '') < KEPT_MS) continue;
      this.#jobs.delete(job);
      JobFile.of(this.#needs.folder, job, this.#needs.complain).remove();
    }
  }

  get(job: string): JobRecord | undefined {
    return this.#jobs.get(job);
  }

  add(record: JobRecord): void {
    this.#jobs.set(record.run.plan.job, record);
  }

  /** A job of this link has ended so: its file says all that will be needed. */
  reload(job: string): void {
    const record = loadJobFiles(this.#needs.folder, this.#needs.complain).find(
      (each) => each.run.plan.job === job,
    );
    if (record?.kept !== undefined) this.add(record);
  }

  /** Takes what the agent tells of results that are being fetched. */
  agentMessage(message: Extract<AgentMessage, { type: 'result' }>): void {
    this.#fetching.get(message.job.toString('hex'))?.add(message);
  }

  /** Brings the results of a job here; on failure they stay where they are. */
  async fetch(job: string): Promise<Result<Fetched>> {
    const record = this.#jobs.get(job);
    if (record === undefined) return fail('no results of that job are kept');
    if (this.#fetching.has(job)) return fail('they are being fetched already');
    const results = new Results(resultsExpected({ from: 'file', record }));
    this.#fetching.set(job, results);
    try {
      return await this.#fetch(record, results);
    } catch (thrown) {
      return fail(messageOf(thrown));
    } finally {
      this.#fetching.delete(job);
    }
  }

  async #fetch(record: JobRecord, results: Results): Promise<Result<Fetched>> {
    const { book, folder, client, lastWords } = this.#needs;
    const { plan } = record.run;
    const id = Buffer.from(plan.job, 'hex');
    const told = await client.request((request) => ({ type: 'reclaim', request, job: id }));
    if (!told.ok) return told;
    const roots = await holdAgain(record, book, AbortSignal.timeout(this.#needs.patienceMs));
    const file = JobFile.of(folder, plan.job, this.#needs.complain);
    try {
      const returning = new Returning({
        ...this.#needs,
        ...{ results, job: plan.job, recovered: true },
        folder: this.#needs.spoolFolder,
        temporaries: record.run.temporaries,
        reunion: new Reunion(this.#needs.patienceMs),
        withheld: new Set(plan.withheld),
        rules: rulesOf(record),
        placing: () => undefined,
      });
      const projects = roots.filter((held) => held.plan.policy === 'project');
      const taken = await returning.take(projects);
      if (!taken.ok) return taken;
      for (const { root } of projects) root.distrust();
      lastWords.say({ type: 'finish', job: id });
      file.remove();
      this.#jobs.delete(plan.job);
      return ok({ files: returning.count, conflicts: [...taken.value.conflicts] });
    } finally {
      for (const held of roots) held.release();
    }
  }
}
