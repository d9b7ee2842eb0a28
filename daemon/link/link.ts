/** One worker's link: its launchers, its jobs, and the one connection they share. */
import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { Memory } from '../../src/base/memory.ts';
import { ok, type Result } from '../../src/base/result.ts';
import { jobsFolder, treesFolder, type Layout } from '../../src/base/layout.ts';
import type { AgentMessage } from '../../src/protocol/agent.ts';
import { BlobPacker } from '../../src/protocol/blob-packer.ts';
import type { AgentFacts, HelloFacts } from '../../src/protocol/facts.ts';
import type { FrontToLink, LinkToFront } from '../../src/protocol/ipc.ts';
import { RedoJournal } from '../artifacts/redo.ts';
import { Spool } from '../artifacts/spool.ts';
import { JobFile, loadJobFiles } from '../journal/job-file.ts';
import { RootBook } from '../sync/shared-root.ts';
import type { AgentConnection, UploadProgress } from '../transport/transport.ts';
import { AgentClient } from './agent-client.ts';
import { EarlyCommits } from './early-commits.ts';
import { Errands } from './errands.ts';
import type { LinkManners } from '../lifecycle/hello.ts';
import { Job } from './job.ts';
import type { LinkLog } from './link-log.ts';
import type { JobOrigin } from './job-origin.ts';
import type { HoldingsNeeds } from './holdings.ts';
import { KeptJobs } from './kept.ts';
import { LastWords } from './last-words.ts';
import { machineWords } from './machine-words.ts';
import { closeParts, openParts, type Parts } from './parts.ts';
import { peerOf } from './peer.ts';
import { Renewal } from './renewal.ts';
import { Tails } from './tails.ts';
import { unknownJob } from './talk.ts';
import { Twins } from './twins.ts';
import { Pace } from './upload-meter.ts';
import { uploadWords } from './upload-words.ts';
import { serveLaunchers, type Launcher, type Opening } from './launchers.ts';

/** A plan whose launcher has not committed after this is given up, ms: it ended, or found a lock that was busy. */
const PLAN_MS = 5000;
/** For jobs that are ended by force to tell their callers, and for what is being placed to get done, ms. */
const LAST_WORDS_MS = 2000;
const PLACING_MS = 30_000;
/** Bytes of returned contents kept for the next return. */
const SPOOL_BYTES = 2e9;

export type LinkNeeds = LinkManners & {
  readonly layout: Layout;
  readonly worker: string;
  readonly version: string;
  /** `progress` hears of what is uploaded first. */
  readonly connect: (
    progress: (upload: UploadProgress) => void,
  ) => Promise<Result<AgentConnection>>;
  readonly hello: HelloFacts;
  readonly log: LinkLog;
};

export class Link {
  readonly #needs: LinkNeeds;
  readonly #tell: (message: LinkToFront) => void;
  readonly #client: AgentClient;
  readonly #lastWords: LastWords;
  readonly #parts: Parts;
  readonly #book: RootBook;
  readonly #spool: Spool;
  readonly #packer: BlobPacker;
  readonly #redo: RedoJournal;
  readonly #jobs = new Map<string, Job>();
  readonly #drops = new Map<string, NodeJS.Timeout>();
  readonly #early = new EarlyCommits();
  readonly #kept: KeptJobs;
  readonly #twins = new Twins();
  readonly #pace = new Pace();
  readonly #tails: Tails;
  readonly #errands: Errands;
  #beat: NodeJS.Timeout | undefined;
  readonly #memory = new Memory({ busy: () => this.#jobs.size > 0 });
  readonly #renewal: Renewal;
  #epochsThere: Readonly<Record<string, string>> = {};
  #server: Server | undefined;
  #drained: (() => void) | undefined;
  /** Takes no more jobs; launchers of those that run may still come back. */
  #stopping = false;

  /** `facts`: what the agent has of them is news. */
  readonly #tellKept = (facts?: AgentFacts): void => {
    if (facts !== undefined) this.#kept.told(facts.kept);
    this.#tell({ type: 'kept', jobs: this.#kept.list });
  };

  private constructor(needs: LinkNeeds, parts: Parts) {
    const { tell } = needs.log;
    this.#needs = needs;
    this.#tell = tell;
    this.#tails = new Tails(tell);
    this.#parts = parts;
    this.#spool = new Spool(parts.store);
    this.#redo = new RedoJournal(join(needs.layout.cache, 'redo', needs.worker));
    this.#packer = new BlobPacker(needs.compression, needs.adaptive);
    this.#book = new RootBook(
      { ...parts, folder: treesFolder(needs.layout, needs.worker) },
      (root) => {
        const epoch = this.#epochsThere[root.key];
        return epoch === undefined ? undefined : BigInt(epoch);
      },
    );
    this.#client = new AgentClient({
      connect: () => needs.connect(uploadWords(tell)),
      hello: needs.hello,
      version: needs.version,
      heartbeatMs: needs.heartbeatMs,
      events: {
        connecting: (attempt) => {
          tell({ type: 'connecting', attempt });
        },
        connected: (facts) => {
          this.#connected(facts);
        },
        disconnected: (failure) => {
          this.#disconnected(failure.reason, failure.next ?? '');
        },
        silent: (missed) => {
          tell({ type: 'silent', ms: missed * needs.heartbeatMs });
        },
        clockSet: (step) => {
          const offset = this.#client.clock.offset.toString();
          tell({ type: 'clock', offset, step: step.toString() });
        },
        message: (message) => {
          this.#receive(message);
        },
        blob: (blob) => this.#spool.take(blob),
      },
    });
    this.#lastWords = new LastWords(this.#client);
    this.#kept = new KeptJobs({
      ...this.#holdingParts(),
      folder: this.#jobsFolder,
      patienceMs: needs.ownerDeadline * 1000,
      complain: needs.log.complain,
    });
    this.#renewal = new Renewal(this.#client, () => this.#jobs.size === 0);
    this.#errands = new Errands({ ...this.#holdingParts(), tell, probed: this.#tellKept });
  }

  get #jobsFolder(): string {
    return jobsFolder(this.#needs.layout, this.#needs.worker);
  }

  /** Listens for launchers and begins to connect. The working folder must be the run folder. */
  static async start(needs: LinkNeeds): Promise<Result<Link>> {
    const parts = await openParts(needs.layout, needs.worker);
    if (!parts.ok) return parts;
    const link = new Link(needs, parts.value);
    await link.#redo.recover(link.#parts.placer);
    link.#recover();
    link.#server = await serveLaunchers(`link-${needs.worker}.sock`, (opening, launcher) => {
      link.#opened(opening, launcher);
    });
    link.#tell({ type: 'listening' });
    link.#beat = setInterval(() => {
      link.#tell({ type: 'beat' });
    }, needs.heartbeatMs / 2);
    link.#client.start();
    return ok(link);
  }

  /** Does what the front says. */
  handle(message: FrontToLink): void {
    this.#memory.used();
    switch (message.type) {
      case 'configure':
        return;
      case 'plan':
        this.#plan({ from: 'front', plan: message.job, memo: message.memo });
        return;
      case 'probe':
        void this.#errands.probe(message);
        return;
      case 'collect':
        void this.#errands.collect(message);
        return;
      case 'benchmark':
        void this.#errands.benchmark(message);
        return;
      case 'connect':
        this.#client.hurry();
        return;
      case 'logLevel':
        this.#needs.log.level = message.level;
        return;
      case 'look':
        void this.#errands.look(message);
        return;
      case 'cancel':
        this.#jobs.get(message.job)?.interrupt();
        return;
      case 'heard':
        this.#jobs.get(message.job)?.heard();
        return;
      case 'watch':
        this.#tails.watch(message.on);
        return;
      case 'fetch':
        void this.#fetch(message.request, message.job);
        return;
      case 'stop':
      case 'leave':
        return;
    }
  }

  /** Writes down what costs to learn again; the process ends now, and its jobs are the next link's. */
  async leave(): Promise<void> {
    this.#server?.close();
    await this.#book.save();
  }

  /** Resolves once the running jobs are done or the deadline, ms, has passed. May be called again, with an earlier one. */
  async stop(deadlineMs: number | undefined): Promise<void> {
    this.#stopping = true;
    await this.#drain(deadlineMs);
    for (const job of this.#jobs.values()) job.cancel('the daemon was stopped');
    const placing = [...this.#jobs.values()].some((job) => job.state === 'returning');
    await this.#drain(placing ? PLACING_MS : LAST_WORDS_MS);
    this.#server?.close();
    rmSync(`link-${this.#needs.worker}.sock`, { force: true });
    clearInterval(this.#beat);
    this.#renewal.stop();
    this.#tails.watch(false);
    await this.#client.stop();
    await this.#book.close();
    await closeParts(this.#parts);
  }

  /** Resolves when no job is left, or after so many ms. */
  async #drain(ms: number | undefined): Promise<void> {
    if (this.#jobs.size === 0 || (ms !== undefined && ms <= 0)) return;
    await new Promise<void>((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #holdingParts(): Omit<HoldingsNeeds, 'file'> {
    return {
      client: this.#client,
      lastWords: this.#lastWords,
      packer: this.#packer,
      book: this.#book,
      spool: this.#spool,
      helper: this.#parts.placer,
      redo: this.#redo,
      spoolFolder: this.#parts.spoolFolder,
      hasher: this.#parts.hasher,
    };
  }

  /** Takes up what a link before this one left, and tells the front of it. */
  #recover(): void {
    const records = loadJobFiles(this.#jobsFolder, this.#needs.log.complain);
    const running = records.filter((record) => record.kept === undefined);
    this.#tell({
      type: 'recovered',
      jobs: records.map(({ run }) => ({ job: run.plan.job, memo: run.memo })),
    });
    for (const record of records) {
      if (record.kept === undefined) continue;
      this.#kept.add(record);
      if (record.done !== undefined) this.#tell(record.done);
    }
    this.#tellKept();
    const jobs = running.map((record) => this.#add({ from: 'file', record }));
    for (const job of jobs) job.recover();
  }

  #add(origin: JobOrigin): Job {
    const plan = origin.from === 'front' ? origin.plan : origin.record.run.plan;
    const job = new Job(origin, {
      ...this.#holdingParts(),
      file: JobFile.of(this.#jobsFolder, plan.job, this.#needs.log.about(plan.job)),
      peer: peerOf(this.#client),
      packerFor: (level) => (level === 0 ? this.#packer : this.#packer.limited(level)),
      early: this.#needs.early,
      worker: this.#needs.worker,
      patienceMs: this.#needs.ownerDeadline * 1000,
      phase: (phase) => {
        this.#tell({ type: 'phase', job: plan.job, phase });
      },
      twins: this.#twins,
      pace: this.#pace,
      joined: (to) => {
        this.#tell({ type: 'joined', job: plan.job, to });
      },
      report: (done) => {
        this.#tails.end(plan.job);
        this.#tell(done);
      },
      closed: (kept) => {
        this.#jobs.delete(plan.job);
        this.#tails.end(plan.job);
        if (kept) {
          this.#kept.reload(plan.job);
          this.#tellKept();
        }
        if (this.#jobs.size === 0) {
          this.#drained?.();
          this.#memory.used();
          void this.#idle();
        }
      },
    });
    this.#jobs.set(plan.job, job);
    return job;
  }

  #plan(origin: JobOrigin & { from: 'front' }): void {
    const job = this.#add(origin);
    const id = origin.plan.job;
    this.#drops.set(
      id,
      setTimeout(() => {
        this.#drops.delete(id);
        job.forsake();
      }, PLAN_MS),
    );
    this.#early.planned(id);
  }

  async #fetch(request: number, job: string): Promise<void> {
    const fetched = await this.#kept.fetch(job);
    if (!fetched.ok) this.#tell({ type: 'failed', request, reason: fetched.failure.reason });
    else {
      this.#tell({ type: 'fetched', request, ...fetched.value });
      this.#tellKept();
    }
  }

  /** Between jobs: what was learned is written down, and old returns go. */
  async #idle(): Promise<void> {
    this.#renewal.soon();
    await this.#book.save();
    await this.#parts.store.collect(SPOOL_BYTES, { has: (hash) => this.#spool.counts(hash) });
  }

  #opened(opening: Opening, launcher: Launcher, mayWait = true): void {
    const id = opening.job.toString('hex');
    const job = this.#jobs.get(id);
    if (job === undefined && opening.type === 'commit' && mayWait) {
      this.#early.hold(id, launcher, () => {
        this.#opened(opening, launcher, false);
      });
      return;
    }
    if (job === undefined) {
      const kept = this.#kept.get(id)?.done?.outcome;
      const { worker } = this.#needs;
      launcher.finish(unknownJob({ worker, job: id, asked: opening.type, kept }));
      return;
    }
    clearTimeout(this.#drops.get(id));
    this.#drops.delete(id);
    this.#needs.log.say('debug', `its launcher is here: ${opening.type}`, id);
    const refusal = this.#stopping ? `${this.#needs.worker} takes no more commands` : undefined;
    if (opening.type === 'commit') job.commit(launcher, refusal);
    else job.resume(launcher, opening);
  }

  #connected(facts: AgentFacts): void {
    this.#epochsThere = facts.roots;
    this.#book.reconnected();
    this.#tell({
      type: 'connected',
      facts,
      clockOffset: this.#client.clock.offset.toString(),
      roundTrip: this.#client.clock.roundTrip,
    });
    this.#tellKept(facts);
    // Before any new job: those that hold what it needs.
    this.#lastWords.repeat();
    for (const [id, job] of this.#jobs) {
      this.#needs.log.say('info', 'the connection is back', id);
      job.agentBack();
    }
    this.#renewal.soon();
  }

  #disconnected(reason: string, next: string): void {
    this.#tell({ type: 'disconnected', reason, next });
    this.#spool.abandon(reason);
    for (const [id, job] of this.#jobs) {
      this.#needs.log.say('warn', `the connection was lost while it was ${job.state}`, id);
      job.agentLost();
    }
  }

  #receive(message: AgentMessage): void {
    if (message.type === 'state' || message.type === 'vitals') {
      const words = machineWords(message);
      if (words !== undefined) this.#tell(words);
      return;
    }
    if (!('job' in message)) return;
    const id = message.job.toString('hex');
    const job = this.#jobs.get(id);
    if (job !== undefined && message.type === 'out') this.#tails.wrote(id, message);
    if (job !== undefined) job.agentMessage(message);
    else if (message.type === 'result') this.#kept.agentMessage(message);
  }
}
