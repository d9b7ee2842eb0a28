/** One launcher's question, from its arrival to the answer. */
import { linkSocket, type Layout } from '../../src/base/layout.ts';
import { ownTurn } from '../../src/base/own-turn.ts';
import { inheritable, watcherOf } from '../../src/base/processes.ts';
import type { RequestSettings } from '../../src/config/request.ts';
import type { Notice } from '../../src/config/schema.ts';
import {
  EndKind,
  EXIT_LOST,
  StreamKind,
  type Ask,
  type ShimMessage,
} from '../../src/protocol/shim.ts';
import type { JournalLine } from '../journal/record.ts';
import { withoutArguments } from '../journal/words.ts';
import { unfallen } from '../lifecycle/fallback.ts';
import type { AlarmBell } from './alarm-bell.ts';
import type { DecisionHooks } from './asked.ts';
import { holderOf, newId, SIGINT, type Book } from './book.ts';
import { colored } from './colors.ts';
import type { Decider } from './decider.ts';
import type { Plan } from '../plan/types.ts';
import type { LocalDecision, RemoteDecision } from './decision.ts';
import { dryRunBox } from './dry-run.ts';
import { writesLimitedFile } from './inherited.ts';
import { joinKey } from './join-key.ts';
import type { Fallbacks } from './fallback.ts';
import type { Fleet } from './fleet.ts';
import { memoOf, type Job, type Jobs } from './jobs.ts';
import type { LeaseDesk, LeaseHolder } from './leases.ts';
import { placeText } from './line.ts';
import { plannedJob, readsAnew } from './planned-job.ts';
import { requestOf, settingsOf } from './request.ts';
import type { Settings } from './settings.ts';
import type { Strangers } from './strangers.ts';

/** ms between heartbeats; the launcher takes two of their deadlines for a hung daemon. */
export const HEARTBEAT = 1000;

/** ms that a link's word of a job which came back may take. */
const LAST_WORD = 500;

export type QuestionParts = {
  readonly layout: Layout;
  readonly settings: Settings;
  readonly decider: Decider;
  readonly fleet: Fleet;
  readonly jobs: Jobs;
  readonly leases: LeaseDesk;
  readonly book: Book;
  /** The CPUs that heavy commands here keep to; empty for all. */
  readonly cpus: () => readonly number[];
  /** Cores of this machine. */
  readonly cores: number;
  readonly fallbacks: Fallbacks;
  readonly bell: AlarmBell;
  readonly strangers: Strangers;
  /** Why nothing may go elsewhere any more; undefined while it may. */
  readonly closing: () => string | undefined;
  /** `job`: whom the line is about. */
  readonly log: (what: string, job?: string) => void;
};

/** Stays here for a reason that needs no plan. */
export const here = (
  reason: string,
  weight: LocalDecision['weight'],
  cores?: number,
): LocalDecision => ({
  kind: 'local',
  reason,
  weight,
  cores,
  subject: undefined,
  details: null,
});

const latin1 = (path: string): Buffer => Buffer.from(path, 'latin1');

const nobody: Pick<
  RequestSettings,
  'dryRun' | 'verbose' | 'notice' | 'priority' | 'caller' | 'noCache'
> = {
  noCache: undefined,
  dryRun: false,
  verbose: undefined,
  notice: undefined,
  priority: undefined,
  caller: undefined,
};

export class Question {
  readonly #parts: QuestionParts;
  readonly #reply: (message: ShimMessage) => void;
  /** Made for those who wait: most questions are answered before their caller could go. */
  #gone: AbortController | undefined;
  #id = newId();
  readonly #begun = performance.now();
  readonly #ask: Ask;
  #caller = nobody;
  /** One of its RCH_ variables says nothing that can be understood. */
  #mistaken = false;
  #env: ReadonlyMap<string, string> = new Map();
  /** What a dry run would have done. */
  #would: RemoteDecision | undefined;
  /** Asked from below a command that runs here: its box was shown. Known for dry runs alone. */
  #nested = false;
  #heart: NodeJS.Timeout | undefined;
  #text = '';
  #answered = false;
  /** Takes back what others were promised: that this command is about to be sent. */
  #broken: () => void = () => undefined;
  #cancelled = false;
  #holder: Omit<LeaseHolder, 'cores'> | undefined;
  #firstDone: ((ended: boolean) => void) | undefined;

  /** `reply` sends to the launcher; it must do nothing once the launcher is gone. */
  constructor(ask: Ask, parts: QuestionParts, reply: (message: ShimMessage) => void) {
    this.#ask = ask;
    this.#parts = parts;
    this.#reply = reply;
    reply({ type: 'ack' });
  }

  /** Decides and answers; a bug in here still ends in an answer. */
  async answer(): Promise<void> {
    try {
      await this.#decide();
    } catch (thrown) {
      const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      const argv = this.#ask.argv.map((word) => word.toString('utf8'));
      this.#parts.log(`a decision failed: ${withoutArguments(reason, argv, '')}`, this.#id);
      if (!this.#answered) this.#runHere(here('rch failed to decide (see its log)', 'light'), 0);
    } finally {
      clearInterval(this.#heart);
      this.#broken();
      // What was promised to a command that did not go there after all.
      if (this.#parts.jobs.release(this.#id)) this.#parts.fleet.changes.ring();
      if (this.#cancelled && !this.#answered) this.#end();
    }
  }

  /** Somebody wants it to end while it waits. */
  readonly #cancel = (): void => {
    this.#cancelled = true;
    this.#left.abort();
  };

  /** Tells the launcher to end as if it had been interrupted. */
  #end(): void {
    this.#answered = true;
    this.#reply({ type: 'exit', kind: EndKind.signaled, value: SIGINT });
    const { book } = this.#parts;
    const waited = performance.now() - this.#begun;
    book.cancelledInLine(book.lineOf(this.#id, this.#ask, here('', 'heavy'), waited), SIGINT);
  }

  /** Who asks; found out once, and only for what may wait. */
  #who(): Omit<LeaseHolder, 'cores'> {
    const outcome = this.#parts.settings.current();
    const usual = outcome.ok ? outcome.value.config.queue.priority : 'normal';
    const { priority = usual, caller } = this.#caller;
    this.#holder ??= holderOf(this.#ask, { id: this.#id, priority, caller });
    return this.#holder;
  }

  /** How the command of `first` ended. */
  firstDone(kind: number, value: number): void {
    this.#firstDone?.(kind === EndKind.exited && value === 0);
  }

  /** The launcher is gone: it ended, or went on by itself. */
  vanished(): void {
    this.#firstDone?.(false);
    if (!this.#answered) this.#left.abort();
  }

  get #left(): AbortController {
    this.#gone ??= new AbortController();
    return this.#gone;
  }

  async #decide(): Promise<void> {
    const { closing, decider, strangers, jobs } = this.#parts;
    const ask = this.#ask;
    const strange = strangers.of(ask, jobs.all().length === 0);
    if (strange !== undefined) {
      if (strange.unknown) this.#runHere(here(strange.reason, 'light'), 0);
      else await this.#runStrange(strange.reason);
      return;
    }
    const request = requestOf(ask);
    const settings = settingsOf(request);
    this.#caller = settings.ok ? settings.value : settings.failure.understood;
    this.#mistaken = !settings.ok;
    this.#env = request.env;
    this.#nested = this.#caller.dryRun && this.#parts.leases.under(ask);
    const quick = decider.quick(request);
    if (quick.kind === 'local') {
      if (quick.weight === 'light') this.#runHere(quick, 0);
      else await this.#runLeased(quick);
      return;
    }
    if (this.#parts.jobs.of(ask) !== undefined) await this.#former();
    const tried = this.#parts.book.tried.of(ask);
    if (tried !== undefined) this.#id = tried.id;
    const reason = closing() ?? this.#watched();
    if (reason !== undefined) {
      await this.#runLeased(here(reason, 'heavy', quick.cores));
      return;
    }
    if (tried?.here !== undefined) {
      const stays = { kind: 'local', weight: 'heavy', fallback: 'returned' } as const;
      await this.#runLeased({ ...stays, ...tried.here });
      return;
    }
    this.#beat();
    // To look at a project takes long: sixteen that come at once would keep the seventeenth from being heard.
    await ownTurn();
    const decision = await decider.weigh(request, quick, this.#hooks(tried?.reasons));
    if (this.#left.signal.aborted) return;
    if (decision.kind === 'local') await this.#runLeased(decision);
    else if (!settings.ok || this.#caller.dryRun) await this.#runLeased(this.#dry(decision));
    else await this.#send(decision, settings.value);
  }

  /** What a decision asks of its caller; a dry one only explains. */
  #hooks(tried: ReadonlyMap<string, string> = new Map()): DecisionHooks {
    const ask = this.#ask;
    const hooks: DecisionHooks = {
      signal: this.#left.signal,
      tried,
      inherits: (descriptor) => inheritable(ask.pid, descriptor),
      wait: (text) => {
        this.#say(text);
      },
    };
    if (this.#caller.dryRun) return hooks;
    return {
      ...hooks,
      first: (command) => this.#runFirst(command),
      key: (plan, config) => joinKey(ask, plan, config, readsAnew(this.#caller, config)),
      chosen: (key, to) => {
        this.#broken = this.#parts.jobs.promise(key, { worker: to, job: this.#id });
      },
      place: { ...this.#who(), cancel: this.#cancel },
    };
  }

  /** Its files may be others; what it costs this machine is not. */
  async #runStrange(reason: string): Promise<void> {
    const request = requestOf(this.#ask);
    const quick = this.#parts.decider.quick(request);
    const weight = quick.kind === 'local' ? quick.weight : 'heavy';
    await this.#runLeased(here(reason, weight, quick.cores));
  }

  /**
   * Whoever asks while its command is taken to be on a worker came back before the start. What its link has to say of
   * that may still be on its way to us; a link that died says nothing.
   */
  async #former(): Promise<void> {
    const { jobs, fleet, book } = this.#parts;
    this.#beat();
    const till = performance.now() + LAST_WORD;
    for (;;) {
      const job = jobs.of(this.#ask);
      const left = till - performance.now();
      if (job === undefined) return;
      if (job.orphan || left <= 0) {
        fleet.get(job.worker)?.saidNothing();
        // It may still think that the launcher is about to come.
        fleet.cancel(job.worker, job.line.id);
        book.cameBack(job);
        return;
      }
      await fleet.changes.next(left, this.#left.signal);
      if (this.#left.signal.aborted) return;
    }
  }

  /** Why a command must run in this very process, whatever it is. */
  #watched(): string | undefined {
    if (writesLimitedFile(this.#ask))
      return 'its output goes to a file whose size is limited (ulimit -f): the tool itself must meet that';
    const watcher = watcherOf(this.#ask.pid, this.#ask.ppid);
    if (watcher === undefined) return undefined;
    return `${watcher} watches this command, and would see nothing of what runs elsewhere`;
  }

  /** For RCH_DRY_RUN: what would have been, run here. */
  #dry(decision: RemoteDecision): LocalDecision {
    this.#would = decision;
    const { subject, details, wished: cores } = decision;
    const reason = `RCH_DRY_RUN: would run on ${decision.worker} (${decision.reason})`;
    return { kind: 'local', weight: 'heavy', cores, reason, subject, details };
  }

  /** Answers `local`, after a wait for a lease where one is due. */
  async #runLeased(decision: LocalDecision): Promise<void> {
    const { leases } = this.#parts;
    if (this.#refuses(decision)) return;
    if (decision.weight === 'light' || leases.under(this.#ask)) {
      this.#runHere(decision, 0);
      return;
    }
    const holder = { ...this.#who(), cores: decision.cores ?? this.#parts.cores };
    const begun: { line?: JournalLine } = {};
    const wait = {
      signal: this.#left.signal,
      onPlace: (place: { at: number; of: number }): void => {
        this.#say(placeText(place, 'its turn here'));
      },
      cancel: this.#cancel,
    };
    const lease = leases.take(holder, wait, (ms) => {
      if (begun.line !== undefined) this.#parts.book.endedHere(begun.line, ms);
    });
    if (typeof lease === 'number') {
      begun.line = this.#runHere(decision, lease);
      return;
    }
    this.#beat();
    const granted = await lease;
    if (granted !== undefined) begun.line = this.#runHere(decision, granted);
  }

  #runHere(decision: LocalDecision, lease: number): JournalLine {
    const notice = this.#notice(decision);
    this.#answered = true;
    const cpus = lease === 0 ? [] : this.#parts.cpus();
    if (cpus.length > 0) this.#reply({ type: 'bind', cpus });
    this.#reply({ type: 'local', reason: decision.reason, notice, lease: BigInt(lease) });
    const waited = performance.now() - this.#begun;
    const { book, fallbacks } = this.#parts;
    const line = book.decided(book.lineOf(this.#id, this.#ask, decision, waited), {
      light: decision.weight === 'light',
      fallback: this.#caller.dryRun ? undefined : decision.fallback,
      answeredMs: waited,
      env: this.#env,
    });
    if (decision.fallback !== undefined && !this.#nested) fallbacks.fell(line, this.#env);
    return line;
  }

  /** With execution.fallback_to_local off, what finds no worker ends here; true when it did. */
  #refuses(decision: LocalDecision): boolean {
    const outcome = this.#parts.settings.current();
    if (decision.fallback === undefined || this.#caller.dryRun) return false;
    if (!outcome.ok || outcome.value.config.execution.fallbackToLocal) return false;
    this.#answered = true;
    this.#reply({ type: 'lost', text: unfallen(decision.reason) });
    const { book } = this.#parts;
    const waited = performance.now() - this.#begun;
    const line = book.lineOf(this.#id, this.#ask, decision, waited);
    const { fallback } = decision;
    book.decided({ ...line, exit: EXIT_LOST }, { light: false, fallback, answeredMs: waited });
    return true;
  }

  /** Text for the caller's stderr, only where it was asked for. */
  #notice(decision: LocalDecision): string {
    if (this.#caller.dryRun) return this.#nested ? '' : this.#box(decision);
    const outcome = this.#parts.settings.current();
    const verbose = outcome.ok && outcome.value.config.general.verbose;
    const told = this.#mistaken && this.#readable;
    const asked = (this.#caller.verbose ?? verbose) || told || this.#noticed() === 'always';
    const lines = asked ? [`rch: local: ${decision.reason}`] : [];
    const alarm = decision.weight === 'heavy' && this.#readable ? this.#parts.bell.say() : '';
    const dim = alarm !== '' && colored(this.#ask.errKind, this.#env);
    return [...lines, ...(alarm === '' ? [] : [dim ? `\u001b[2m${alarm}\u001b[0m` : alarm])].join(
      '\n',
    );
  }

  /** Whether a line of ours may be put on standard error: somebody asked for it, or may read it. */
  get #readable(): boolean {
    const notice = this.#noticed();
    const terminal = this.#ask.errKind === StreamKind.tty;
    return notice === 'always' || (notice === 'auto' && terminal);
  }

  #box(here: LocalDecision): string {
    const decision = this.#would ?? here;
    const worker = decision.kind === 'remote' ? this.#parts.fleet.get(decision.worker) : undefined;
    const slots = worker?.state.kind === 'connected' ? worker.state.slots : undefined;
    return dryRunBox({ ask: this.#ask, env: this.#env, decision, slots });
  }

  /** RCH_NOTICE over output.notice. */
  #noticed(): Notice | undefined {
    const outcome = this.#parts.settings.current();
    return this.#caller.notice ?? (outcome.ok ? outcome.value.config.output.notice : undefined);
  }

  async #send(decision: RemoteDecision, caller: RequestSettings): Promise<void> {
    const { fleet, jobs, book, layout } = this.#parts;
    const worker = fleet.get(decision.worker);
    const waited = performance.now() - this.#begun;
    const remark = this.#readable ? this.#parts.bell.say() : '';
    const more = { waitedMs: waited, remark };
    const planned = plannedJob(this.#id, this.#ask, { ...decision, ...more }, caller);
    const line = book.lineOf(this.#id, this.#ask, decision, waited);
    const job: Job = {
      worker: decision.worker,
      slots: decision.slots,
      subject: decision.subject,
      holder: { ...this.#who(), cores: decision.wished },
      line,
      since: performance.now(),
      key: planned.key,
      reuseMs: planned.reuseMs,
      phase: 'planned',
      steps: [],
      orphan: false,
    };
    if (worker?.plan(planned, memoOf(job)) !== true) {
      const reason = `the link of ${decision.worker} went away`;
      await this.#runLeased({ ...here(reason, 'heavy', decision.wished), fallback: 'link_gone' });
      return;
    }
    book.decided(line, { light: false, answeredMs: waited, env: this.#env });
    jobs.add(job);
    this.#answered = true;
    this.#reply({
      type: 'remote',
      job: Buffer.from(this.#id, 'hex'),
      worker: worker.id,
      socket: Buffer.from(linkSocket(layout, worker.id), 'utf8'),
      // Who waits for another's run holds nothing that one has locked.
      locks: planned.locks.length > 0 ? [] : decision.plan.locks.map(latin1),
    });
  }

  #runFirst({ path, argv, mayFail }: NonNullable<Plan['first']>): Promise<boolean> {
    return new Promise((resolve) => {
      this.#firstDone = resolve;
      const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
      this.#reply({ type: 'first', path: bytes(path), argv: argv.map(bytes), mayFail });
    });
  }

  #beat(): void {
    this.#heart ??= setInterval(() => {
      this.#reply({ type: 'wait', text: this.#text });
    }, HEARTBEAT);
  }

  #say(text: string): void {
    // Only a terminal shows it.
    if (text === this.#text || this.#ask.errKind !== StreamKind.tty) return;
    if (this.#noticed() === 'never') return;
    this.#text = text;
    this.#reply({ type: 'wait', text });
  }
}
