/** Writes down every decision and what became of it, and draws the lessons. */
import { randomFillSync } from 'node:crypto';
import { constants } from 'node:os';
import { startTimeOf } from '../../src/base/processes.ts';
import type { LinkToFront } from '../../src/protocol/ipc.ts';
import { EXIT_LOST, type Ask, type Told } from '../../src/protocol/shim.ts';
import type { History } from '../journal/history.ts';
import type { Learned } from '../journal/learned.ts';
import { quoted, type JournalLine } from '../journal/record.ts';
import type { ExperienceBook } from '../select/experience.ts';
import { callerOf } from './caller.ts';
import { placeOf, type Decision, type Subject } from './decision.ts';
import { jobOfMemo, type Job, type Jobs } from './jobs.ts';
import type { LeaseDesk, LeaseHolder } from './leases.ts';
import type { Decided, EndKind, JobWatcher } from './job-watcher.ts';
import { Tried } from './tried.ts';
import type { Worker } from './worker.ts';

export type Counts = { remote: number; local: number; returned: number; lost: number };
type Done = Extract<LinkToFront, { type: 'done' }>;

/** How much a job that came back before its start says against its worker; one that was lost counts 1. */
const RETURNED_WEIGHT = 0.5;

/** What a cancelled command seems to have died of, signal(7). */
export const SIGINT = constants.signals.SIGINT;

const UNTOLD = 'the link went away before it told the worker';
const CALLER_GONE = 'the caller went away before the end';

const pool = Buffer.alloc(4096);
let used = pool.length;

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

/** Phases of a remote command from its question on: the link counts from the launcher's commit. */
function wholePhases(before: JournalLine['phases'], link: Done['phases']): JournalLine['phases'] {
  const { early = 0, ...rest } = link;
  const waited = before.queue ?? 0;
  const whole = Object.entries({ queue: 0, ...rest }).map(([name, ms = 0]) => {
    const counted = name === 'queue' ? ms + waited - early : name === 'total' ? ms + waited : ms;
    return [name, tenths(counted)] as const;
  });
  return Object.fromEntries(whole);
}

/** 16 random bytes as 32 hex digits; drawn from a pool, since a call for each costs more than the answer. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 16;
  return pool.toString('hex', used - 16, used);
}

const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');

/** `caller`: RCH_CALLER. Looks at the ancestors of the asking process. */
export function holderOf(
  ask: Ask,
  of: Pick<LeaseHolder, 'id' | 'priority'> & { readonly caller: string | undefined },
): Omit<LeaseHolder, 'cores'> {
  return {
    id: of.id,
    caller: callerOf(ask.pid, of.caller),
    priority: of.priority,
    pid: ask.pid,
    startTime: ask.startTime,
    ppid: ask.ppid,
    command: quoted(ask.argv.map((word) => word.toString('utf8'))),
    cwd: ask.cwd.toString('utf8'),
  };
}

function subjectOf(decision: Decision): Subject {
  return decision.subject ?? { project: '', kind: '' };
}

export type BookParts = {
  readonly history: History;
  readonly learned: Learned;
  readonly experience: ExperienceBook;
  readonly jobs: Jobs;
  readonly leases: LeaseDesk;
  readonly watcher: JobWatcher;
};

export class Book {
  readonly counts: Counts = { remote: 0, local: 0, returned: 0, lost: 0 };
  readonly tried = new Tried();
  readonly #parts: BookParts;

  constructor(parts: BookParts) {
    this.#parts = parts;
    for (const line of parts.history.recent()) this.#relive(line);
  }

  /** The record of a decision; `waitedMs`: from the question to the answer. */
  lineOf(id: string, ask: Told, decision: Decision, waitedMs: number): JournalLine {
    const remote = decision.kind === 'remote';
    const argv = ask.argv.map((word) => word.toString('utf8'));
    return {
      id,
      command: quoted(argv),
      argv,
      cwd: ask.cwd.toString('utf8'),
      decision: decision.kind,
      reason: decision.reason,
      worker: remote ? decision.worker : null,
      exit: null,
      signal: null,
      phases: waitedMs >= 1 ? { queue: tenths(waitedMs) } : {},
      bytes: { sent: 0, received: 0, output: 0 },
      startedAt: new Date(Date.now() - waitedMs).toISOString(),
      tool: ask.tool.toString('utf8'),
      conflicts: [],
      details: decision.details,
      ...subjectOf(decision),
      ended: !remote,
    };
  }

  /** A command was cancelled while it waited: it never ran. */
  cancelledInLine(line: JournalLine, signal: number): void {
    const reason = 'cancelled while it waited (rch cancel)';
    const cancelled = { ...line, reason, signal, ended: true };
    this.#parts.history.record(cancelled);
    this.#parts.watcher.ended(cancelled, 'inLine');
  }

  decided(line: JournalLine, how: Decided): JournalLine {
    const { fallback } = how;
    const whole = fallback === undefined ? line : { ...line, fallback };
    this.counts[line.decision]++;
    this.#parts.history.record(whole);
    this.#parts.watcher.decided(whole, how);
    return whole;
  }

  /**
   * A new link has said what it took over from the one before, maybe of a daemon before this one. Whatever else that
   * one had been sent, no worker was told of it, so the launchers ask anew.
   */
  recovered(worker: Worker, told: Extract<LinkToFront, { type: 'recovered' }>['jobs']): void {
    const { history, jobs } = this.#parts;
    const theirs = new Set(told.map(({ job }) => job));
    for (const { job: id, memo } of told) {
      const known = jobs.get(id);
      if (known !== undefined) known.orphan = false;
      else if (history.find(id)?.ended !== true) this.#takeOver(memo);
    }
    for (const job of jobs.all())
      if (job.worker === worker.id && job.orphan && !theirs.has(job.line.id)) this.cameBack(job);
    for (const line of [...history.recent()]) {
      const open = line.decision === 'remote' && !line.ended && line.worker === worker.id;
      if (open && jobs.get(line.id) === undefined && !theirs.has(line.id))
        history.record({ ...line, reason: UNTOLD, decision: 'local', worker: null, ended: true });
    }
  }

  /** The link of a job did not get to tell its worker of it: the launcher asks anew, or does so now. */
  cameBack(job: Job): void {
    if (this.#parts.jobs.remove(job.line.id) === undefined) return;
    this.counts.returned++;
    this.#asksAgain(job, { ...job.line, reason: UNTOLD, ended: true });
    this.#ended(job.line, 'again');
  }

  /** Learns of a job that a daemon before this one sent away. */
  #takeOver(memo: unknown): void {
    const { history, jobs } = this.#parts;
    const job = jobOfMemo(memo);
    if (job === undefined) return;
    jobs.add(job);
    if (history.find(job.line.id) === undefined) history.record(job.line);
  }

  /** A command that ran here under a lease has ended after `ms`. */
  endedHere(line: JournalLine, ms: number): void {
    const total = tenths((line.phases.queue ?? 0) + ms);
    const phases = { ...line.phases, run: tenths(ms), total };
    // A hook may have been written down meanwhile.
    const { hooks } = this.#parts.history.find(line.id) ?? line;
    const told = hooks === undefined ? {} : { hooks };
    const over = { ...line, ...told, phases, ended: true };
    this.#parts.history.record(over);
    this.#parts.watcher.ended(over, 'here');
    if (line.kind !== '') this.#parts.experience.ranHere(placeOf(line), line.kind, ms);
  }

  /** A link has told how a job ended. */
  done(worker: Worker, done: Done): void {
    // One that went on to another worker keeps its id.
    if (this.#parts.jobs.get(done.job)?.worker !== worker.id) return;
    const job = this.#parts.jobs.remove(done.job);
    if (job === undefined) return;
    const line: JournalLine = {
      ...job.line,
      phases: wholePhases(job.line.phases, done.phases),
      bytes: done.bytes,
      conflicts: done.conflicts.map(utf8),
      ...(done.hooks === undefined ? {} : { hooks: done.hooks }),
      ended: true,
    };
    this.#learn(job, done);
    this.#outcome({ worker, job, line, done });
    const { outcome } = done;
    this.#ended(line, outcome.kind === 'local' ? 'again' : outcome.kind);
  }

  /** Tells of an end as it was written down; what came back before its start still names its worker. */
  #ended(line: JournalLine, how: EndKind): void {
    const { history, watcher } = this.#parts;
    const { worker } = line;
    watcher.ended({ ...(history.find(line.id) ?? line), worker }, how);
  }

  /** The launcher of a job whose link died for good is gone too: nobody will tell how it ended. */
  orphaned(job: Job): void {
    if (this.#parts.jobs.remove(job.line.id) === undefined) return;
    this.counts.lost++;
    const reason = `the link process died while it ran on ${job.worker}`;
    this.#parts.history.record({ ...job.line, reason, lost: true, ended: true });
    this.#ended(job.line, 'lost');
  }

  #outcome(end: { worker: Worker; job: Job; line: JournalLine; done: Done }): void {
    const { worker, job, line, done } = end;
    const { outcome } = done;
    const { history } = this.#parts;
    switch (outcome.kind) {
      case 'exited':
        history.record({ ...line, exit: outcome.code });
        this.#ranThere(worker, line);
        return;
      case 'signaled':
        history.record({ ...line, signal: outcome.signal });
        worker.succeeded();
        return;
      case 'execHere':
        history.record({ ...line, reason: `${line.reason}; built there, its program runs here` });
        this.#ranThere(worker, line);
        return;
      case 'local':
        this.counts.returned++;
        worker.doubt();
        if (outcome.fault) worker.failed(RETURNED_WEIGHT);
        else worker.saidNothing();
        this.#asksAgain(job, { ...line, reason: outcome.reason }, outcome.again);
        return;
      case 'cancelled':
        worker.saidNothing();
        history.record({
          ...line,
          reason:
            outcome.signal === undefined
              ? 'cancelled (rch cancel)'
              : 'ended by a signal while its worker could not be reached',
          signal: outcome.signal ?? SIGINT,
        });
        return;
      case 'abandoned':
        worker.saidNothing();
        this.#abandoned(job, line);
        return;
      case 'lost':
        this.counts.lost++;
        worker.failed(1);
        history.record({ ...line, reason: outcome.reason, lost: true });
        return;
      case 'timedOut':
        worker.saidNothing();
        history.record({ ...line, reason: outcome.reason, exit: EXIT_LOST });
        return;
    }
  }

  /**
   * The launcher comes back with its question; `elsewhere`: another worker may do better. Should it never do so, the
   * record says that it ran here.
   */
  #asksAgain(job: Job, line: JournalLine, elsewhere = true): void {
    const { id, reason, details } = line;
    const { subject, holder } = job;
    const here = elsewhere ? undefined : { reason, cores: holder.cores, subject, details };
    this.tried.turnedAway(holder, { id, worker: job.worker, reason, here });
    this.counts.remote--;
    this.#parts.history.record({ ...line, decision: 'local', worker: null });
  }

  /** The launcher went away: it ended, or it chose to run the command here (a lock was busy). */
  #abandoned(job: Job, line: JournalLine): void {
    if (line.phases.run === undefined && startTimeOf(job.holder.pid) === job.holder.startTime) {
      const reason = 'the build folder is locked by another command here';
      this.#runsHere(job, { ...line, reason });
    } else this.#parts.history.record({ ...line, reason: CALLER_GONE });
  }

  #runsHere(job: Job, line: JournalLine): void {
    const here: JournalLine = { ...line, decision: 'local', worker: null };
    this.counts.remote--;
    this.counts.local++;
    this.#parts.history.record(here);
    this.#parts.leases.adopt(job.holder, (ms) => {
      this.endedHere(here, ms);
    });
  }

  #ranThere(worker: Worker, line: JournalLine): void {
    worker.succeeded();
    this.#experienced(worker.id, line);
  }

  #experienced(worker: string, line: JournalLine): void {
    const { kind, phases, bytes } = line;
    const { run, total, sync = 0 } = phases;
    if (run === undefined || total === undefined) return;
    const wayMs = Math.max(0, total - run - (phases.queue ?? 0));
    const there = { worker, runMs: run, wayMs, sentBytes: bytes.sent, syncMs: sync };
    this.#parts.experience.ranThere(placeOf(line), kind, there);
  }

  /** What makes a kind of command stay here in this project from now on. */
  #learn(job: Job, done: Done): void {
    const { project, kind } = job.subject;
    const [name] = done.missedEnv;
    const learn = (reason: string): void => {
      this.#parts.learned.learn(project, kind, reason);
    };
    if (done.outcome.kind === 'local' && done.outcome.learn) learn(done.outcome.reason);
    if (done.deniedPath !== '')
      learn(`it uses ${utf8(done.deniedPath)}, which is outside of what is carried`);
    if (name !== undefined)
      learn(`it reads the variable ${name}, which is not given to a worker (environment.withhold)`);
  }

  /** Takes experience from a line of an earlier life of the daemon. */
  #relive(line: JournalLine): void {
    if (line.kind === '' || !line.ended) return;
    const { run } = line.phases;
    if (line.decision === 'local') {
      if (run !== undefined) this.#parts.experience.ranHere(placeOf(line), line.kind, run);
    } else if (line.worker !== null && line.exit !== null) {
      this.#experienced(line.worker, line);
    }
  }
}
