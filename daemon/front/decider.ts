/** Decides a question: by its name and arguments alone where that is enough, else by plan, cost and workers. */
import { formatProgress } from '../../src/base/amounts.ts';
import type { Layout } from '../../src/base/layout.ts';
import type { RequestSettings } from '../../src/config/request.ts';
import { defaultConfig, type Config } from '../../src/config/schema.ts';
import type { MachineFacts } from '../../src/protocol/facts.ts';
import type { PlannedRoot } from '../../src/protocol/ipc.ts';
import { classify } from '../classify/classify.ts';
import { keptByRules, type Rules } from '../classify/confidence.ts';
import type { AliasLookup, Request } from '../classify/request.ts';
import type { Candidate } from '../classify/verdict.ts';
import type { Learned } from '../journal/learned.ts';
import { aliasesOf } from '../plan/aliases.ts';
import { withholder } from '../../src/config/environment.ts';
import { BuildScanner } from '../plan/build-needs.ts';
import { PlanCaches } from '../plan/caches.ts';
import type { Told } from '../plan/needs/told-project.ts';
import { plan } from '../plan/plan.ts';
import { projectOf } from '../plan/project.ts';
import type { Plan } from '../plan/types.ts';
import { toolsOf } from '../select/eligible.ts';
import type { ExperienceBook } from '../select/experience.ts';
import { select, type Contender, type Selection, type Wish } from '../select/select.ts';
import { fitting } from '../select/patterns.ts';
import { hereMs, worth, type CostRules, type Worth } from '../select/worth.ts';
import type { ConfigOutcome } from '../../src/config/load.ts';
import { withVariables } from './request.ts';
import {
  placeOf,
  Reasons,
  type Decision,
  type LocalDecision,
  type Look,
  type Subject,
} from './decision.ts';
import type { Fleet } from './fleet.ts';
import type { Jobs, Twin } from './jobs.ts';
import type { LeaseDesk } from './leases.ts';
import { LocalFacts } from './local-facts.ts';
import { settingsOf } from './request.ts';
import { loadFactor } from './pressure.ts';
import { brokenReason, type Settings } from './settings.ts';
import type { SpeedDesk } from './speed-desk.ts';

export type DeciderParts = {
  readonly layout: Layout;
  readonly settings: Settings;
  readonly fleet: Fleet;
  readonly leases: LeaseDesk;
  readonly jobs: Jobs;
  readonly learned: Learned;
  readonly experience: ExperienceBook;
  readonly speeds: SpeedDesk;
  /** Cores of this machine. */
  readonly cores: number;
};

/** What a decision may do while it is made. */
export type DecisionHooks = {
  readonly signal: AbortSignal;
  /** Something slow is under way. */
  readonly wait: (text: string) => void;
  /**
   * Runs a command through the launcher (cargo fetch). False: there is none, or its end is the command's end.
   * Absent for a dry decision, which then goes on as if it had been run.
   */
  readonly first?: (command: NonNullable<Plan['first']>) => Promise<boolean>;
  /** What names commands that are one and the same (join-key.ts); absent for one that is only explained. */
  readonly key?: (plan: Plan, config: Config) => string;
  /** The command is about to be sent to that worker. */
  readonly chosen?: (key: string, worker: string) => void;
};

/** ms for a cargo metadata or the like. */
const PLAN_DEADLINE = 30_000;
/** ms for a link to look at a project. */
const LOOK_DEADLINE = 10_000;
/** ms that a command waits for a worker whose first connection is under way; longer when the caller insists. */
const CONNECT_PATIENCE = 3000;
const CONNECT_PATIENCE_FORCED = 60_000;
/** ms that a command waits for a slot. */
const SLOT_PATIENCE = 600_000;
/** ms of estimate from which a command that stays here takes a lease. */
const HEAVY = 1000;
/** Where tools are looked for when the caller has no PATH: what execvp(3) does without one. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

type Asked = {
  readonly request: Request;
  readonly candidate: Candidate;
  readonly caller: RequestSettings;
  readonly reasons: Reasons;
  readonly hooks: DecisionHooks;
};

type Planned = {
  readonly plan: Plan;
  readonly look: Look | undefined;
  readonly config: Config;
  readonly subject: Subject;
  readonly worth: Worth;
};

function stay(
  asked: Asked,
  reason: string,
  more: { weight?: 'light' | 'heavy'; subject?: Subject; fallback?: boolean } = {},
): LocalDecision {
  return {
    kind: 'local',
    reason,
    weight: more.weight ?? 'heavy',
    subject: more.subject,
    details: asked.reasons.details(),
    ...(more.fallback === undefined ? {} : { fallback: more.fallback }),
  };
}

export class Decider {
  readonly #parts: DeciderParts;
  readonly #caches = new PlanCaches();
  readonly #scanner = new BuildScanner();
  readonly #facts = new LocalFacts();

  constructor(parts: DeciderParts) {
    this.#parts = parts;
  }

  /** A decision that needs no I/O, or undefined when the command may have to go through `weigh`. */
  quick(request: Request): LocalDecision | Candidate {
    const verdict = classify(request, this.aliasesOf(request));
    if (verdict.kind === 'candidate') return verdict;
    return { ...verdict, subject: undefined, details: null };
  }

  /** What is configured in the project around a folder (latin1). */
  #around(folder: string): ConfigOutcome {
    const home = process.env['HOME'];
    const raw = home === undefined ? undefined : Buffer.from(home, 'utf8').toString('latin1');
    const project = projectOf(folder, raw);
    const { settings } = this.#parts;
    return 'root' in project ? settings.forProject(project.root) : settings.current();
  }

  /** What is configured about classification in a folder (latin1); nothing goes elsewhere under a broken file. */
  rulesFor(folder: string): Rules {
    const outcome = this.#around(folder);
    return outcome.ok ? outcome.value.config.classify : defaultConfig().classify;
  }

  /** The lookup of cargo aliases for a request. */
  aliasesOf(request: Request): AliasLookup {
    return aliasesOf(request, this.#caches);
  }

  /** The decision on a command that may run elsewhere. */
  async weigh(request: Request, candidate: Candidate, hooks: DecisionHooks): Promise<Decision> {
    const reasons = new Reasons(`${candidate.command} may run elsewhere`);
    const settings = settingsOf(request);
    if (!settings.ok) {
      return {
        kind: 'local',
        reason: settings.failure.reason,
        weight: 'heavy',
        subject: undefined,
        details: reasons.details(),
      };
    }
    const asked: Asked = { request, candidate, caller: settings.value, reasons, hooks };
    const early = this.#early(asked);
    if (early !== undefined) return early;
    const planned = await this.#plan(asked);
    if ('kind' in planned) return planned;
    reasons.planned(planned.plan);
    const { selection, twin } = await this.#choose(asked, planned);
    reasons.table(selection.table);
    if (selection.kind === 'none') {
      reasons.note('next', selection.next);
      return stay(asked, selection.reason, { subject: planned.subject, fallback: true });
    }
    const ready = await this.#prepare(asked, planned);
    if ('kind' in ready) return ready;
    return {
      kind: 'remote',
      worker: selection.worker,
      slots: selection.slots,
      reason: ready.worth.reason,
      candidate,
      twin,
      ...ready,
      details: reasons.details(),
    };
  }

  /** What settings, size and the state of the fleet say before anything is read. */
  #early(asked: Asked): LocalDecision | undefined {
    const { caller, candidate, reasons } = asked;
    const outcome = this.#parts.settings.current();
    if (!outcome.ok) {
      reasons.note('next', outcome.failure.next ?? '');
      return stay(asked, brokenReason(outcome));
    }
    if (!(caller.enabled ?? outcome.value.config.general.enabled))
      return stay(asked, 'rch is switched off (general.enabled)');
    if (caller.localOnly) return stay(asked, 'RCH_LOCAL_ONLY asks for it');
    const kept = this.#kept(asked, outcome.value.config.classify);
    if (kept !== undefined) return kept;
    const size = this.#worth(asked, { project: '', kind: candidate.command }, candidate);
    if (!size.remote) {
      reasons.note('worth', size.reason);
      return stay(asked, size.reason, { weight: this.#weightOf(candidate.estimateMs) });
    }
    const anybody = select(this.#contenders(), this.#wish(asked));
    reasons.table(anybody.table);
    if (anybody.kind === 'chosen' || anybody.busy || anybody.pending) return undefined;
    reasons.note('next', anybody.next);
    return stay(asked, anybody.reason, { fallback: true });
  }

  /** The last tiers of classification: exclusions, and confidence against the threshold. */
  #kept(asked: Asked, rules: Rules, subject?: Subject): LocalDecision | undefined {
    const { candidate, request } = asked;
    const reason = keptByRules(candidate.command, request.argv, rules);
    if (reason === undefined) return undefined;
    const weight = this.#weightOf(candidate.estimateMs);
    return stay(asked, reason, subject === undefined ? { weight } : { weight, subject });
  }

  #weightOf(estimateMs: number): 'light' | 'heavy' {
    return estimateMs >= HEAVY ? 'heavy' : 'light';
  }

  #worth(
    asked: Asked,
    subject: Subject,
    size: { readonly tooSmall: string | undefined; readonly estimateMs: number },
  ): Worth {
    return worth({
      command: asked.candidate.command,
      force: asked.caller.forceRemote,
      tooSmall: size.tooSmall,
      estimateMs: size.estimateMs,
      experience: this.#parts.experience.of(placeOf(subject), subject.kind),
      load: this.#load(),
      rules: this.#rules(asked.request),
    });
  }

  /** A busy machine slows what runs here: by what waits for a CPU, or at least by the heavy commands that share it. */
  #load(): number {
    const { leases, cores } = this.#parts;
    return Math.max(loadFactor(cores), 1 + leases.running / Math.max(1, leases.limit));
  }

  #rules({ tool, argv }: Request): CostRules {
    const outcome = this.#parts.settings.current();
    const config = outcome.ok ? outcome.value.config : defaultConfig();
    const { alwaysRemote, neverRemote, ...limits } = config.costBenefit;
    return {
      ...limits,
      always: fitting(alwaysRemote, tool, argv),
      never: fitting(neverRemote, tool, argv),
    };
  }

  /** Plans, and says what the project and its past have to say. */
  async #plan(asked: Asked, fetched = false): Promise<Planned | LocalDecision> {
    const base = this.#around(asked.request.cwd);
    if (!base.ok) return stay(asked, brokenReason(base));
    const { candidate, reasons } = asked;
    const request = withVariables(asked.request, base.value.config.execution.env);
    const looks: Look[] = [];
    const made = await plan(request, candidate, {
      look: (root, last) => this.#lookAt(asked, root, { last, looks }),
      caches: this.#caches,
      scanner: this.#scanner,
      withheld: withholder(base.value.config.environment),
      fetched,
      exclude: base.value.config.transfer.exclude.patterns,
      gitLimit: base.value.config.transfer.maxGitSizeMb * 1e6,
      machine: await this.#localFacts(request, []),
      defaultSlots: base.value.config.project.cores ?? this.#parts.cores,
      deadlineMs: PLAN_DEADLINE,
    });
    if (!made.ok) {
      reasons.note('next', made.failure.next ?? '');
      return stay(asked, made.failure.reason);
    }
    reasons.planned(made.value);
    const outcome = this.#parts.settings.forProject(made.value.project);
    const kind = candidate.command;
    if (!outcome.ok)
      return stay(asked, brokenReason(outcome), { subject: { project: made.value.project, kind } });
    const { config } = outcome.value;
    const { id: group, name, untrusted } = config.project;
    const subject = { project: made.value.project, kind, group, name };
    if (untrusted.length > 0)
      reasons.remark(`${untrusted.join(', ')} of .rch/config.toml wait for \`rch trust\``);
    if (!config.project.enabled || config.project.localOnly)
      return stay(asked, "the project's configuration keeps it here", { subject });
    const kept = this.#kept(asked, config.classify, subject);
    if (kept !== undefined) return kept;
    const learned = this.#parts.learned.reason(subject.project, subject.kind);
    if (learned !== undefined) {
      reasons.note('learned', learned);
      reasons.note('next', 'rch why --forget');
      return stay(asked, `learned from an earlier run: ${learned}`, { subject });
    }
    const size = this.#worth(asked, subject, made.value);
    reasons.note('worth', size.reason);
    if (size.remote) return { plan: made.value, config, subject, worth: size, look: looks.at(-1) };
    this.#parts.experience.keptHere(placeOf(subject), subject.kind);
    return stay(asked, size.reason, { weight: this.#weightOf(made.value.estimateMs), subject });
  }

  /** Has the link look whose worker is the likely one: the one that has the project, else the only one there is. */
  async #lookAt(
    asked: Asked,
    root: PlannedRoot,
    of: { readonly last: string; readonly looks: Look[] },
  ): Promise<Told | undefined> {
    const { fleet, experience } = this.#parts;
    const ready = fleet.all().filter(({ state }) => state.kind === 'connected');
    const missing = (id: string): number => experience.prospect(root.path, '', id).missing;
    const [nearest] = ready.toSorted((a, b) => missing(a.id) - missing(b.id));
    const { worker: named } = asked.caller;
    const worker = named === undefined ? nearest : ready.find(({ id }) => id === named);
    const told = await worker?.look(root, of.last, LOOK_DEADLINE);
    if (worker === undefined || told?.ok !== true) return undefined;
    of.looks.push({ worker: worker.id, name: told.value.look });
    return told.value;
  }

  /** Finds a worker, and waits where waiting is better than running here. */
  async #choose(
    asked: Asked,
    planned: Planned,
  ): Promise<{ readonly selection: Selection; readonly twin: Twin | undefined }> {
    const { hooks, caller } = asked;
    const { fleet, leases } = this.#parts;
    const begun = performance.now();
    const insists = caller.forceRemote || caller.worker !== undefined;
    const connect = insists ? CONNECT_PATIENCE_FORCED : CONNECT_PATIENCE;
    const tools = toolsOf(planned.plan.requirements);
    const key = hooks.key?.(planned.plan, planned.config) ?? '';
    for (;;) {
      const local = await this.#localFacts(asked.request, tools);
      await fleet.ensureProbed(tools);
      const wish = this.#wish(asked, planned, local);
      const { selection, twin } = this.#pick(planned.subject, wish, key);
      if (selection.kind === 'chosen') hooks.chosen?.(key, selection.worker);
      if (selection.kind === 'chosen' || hooks.signal.aborted) return { selection, twin };
      const waited = performance.now() - begun;
      const forSlot = selection.busy && (insists || leases.full);
      const patience = forSlot ? SLOT_PATIENCE : selection.pending ? connect : 0;
      // A dry decision says how things stand now.
      if (waited >= patience || hooks.first === undefined) return { selection, twin };
      hooks.wait(forSlot ? 'rch: waiting for a free slot' : this.#connecting());
      await fleet.changes.next(patience - waited, hooks.signal);
    }
  }

  /** The worker that runs the same command already, if it may take this one; else the best of all. */
  #pick(
    subject: Subject,
    wish: Wish,
    key: string,
  ): { readonly selection: Selection; readonly twin: Twin | undefined } {
    const contenders = this.#contenders(subject);
    const twin = this.#parts.jobs.twinOf(key);
    if (twin !== undefined) {
      const there = contenders.filter(({ id }) => id === twin.worker);
      const joining = select(
        there.map((each) => ({ ...each, joins: true })),
        wish,
      );
      if (joining.kind === 'chosen') return { selection: joining, twin };
    }
    return { selection: select(contenders, wish), twin: undefined };
  }

  /** What the workers that connect are at. */
  #connecting(): string {
    for (const { id, state } of this.#parts.fleet.all()) {
      if (state.kind !== 'connecting' || state.upload === undefined) continue;
      const { part, bytes, total, rate } = state.upload;
      const what = part === 'node' ? 'Node' : 'the agent';
      return `rch: bringing ${what} to ${id}: ${formatProgress(bytes, total, rate)}`;
    }
    return 'rch: waiting for a worker to connect';
  }

  /** Runs what must be run here first (cargo fetch), and plans again after it. */
  async #prepare(asked: Asked, planned: Planned): Promise<Planned | LocalDecision> {
    const { first } = planned.plan;
    if (first === undefined || asked.hooks.first === undefined) return planned;
    if (!(await asked.hooks.first(first)))
      return stay(asked, 'what had to run first did not end well');
    const again = await this.#plan(asked, true);
    if ('kind' in again || again.plan.first === undefined) return again;
    return stay(asked, 'what is missing was fetched, and is still missing', {
      subject: again.subject,
    });
  }

  #localFacts(request: Request, tools: readonly string[]): Promise<MachineFacts> {
    const path = request.env.get('PATH') ?? DEFAULT_PATH;
    return this.#facts.take(tools, {
      path: Buffer.from(path, 'latin1').toString('utf8'),
      skip: [this.#parts.layout.shims, Buffer.from(request.shimDir, 'latin1').toString('utf8')],
      folder: this.#parts.layout.home,
    });
  }

  #contenders(subject: Subject = { project: '', kind: '' }): Contender[] {
    const { fleet, experience, jobs, speeds } = this.#parts;
    return fleet.all().map((worker) => ({
      id: worker.id,
      priority: worker.worker.priority,
      state: worker.state,
      breaker: worker.breaker,
      ownSlots: jobs.slotsOn(worker.id),
      probed: worker.probed,
      speed: speeds.scoreOf(worker.id),
      prospect: experience.prospect(placeOf(subject), subject.kind, worker.id),
    }));
  }

  /** Without a plan: what the caller and the workers' states rule out already. */
  #wish(asked: Asked, planned?: Planned, local?: MachineFacts): Wish {
    const config = planned?.config ?? defaultConfig();
    const { allowedWorkers, blockedWorkers, preferredWorker, minSpeedScore } = config.project;
    const subject = planned?.subject ?? { project: '', kind: '' };
    return {
      match:
        planned === undefined || local === undefined
          ? undefined
          : { requirements: planned.plan.requirements, local },
      slots: planned?.plan.slots ?? 1,
      worker: asked.caller.worker,
      workers: asked.caller.workers,
      project: {
        allowed: allowedWorkers,
        blocked: blockedWorkers,
        preferred: preferredWorker,
        minSpeed: minSpeedScore,
      },
      weights: config.selection,
      hereMs: hereMs(this.#parts.experience.of(placeOf(subject), subject.kind), this.#load()),
      now: performance.now(),
      network: config.sandbox.network,
    };
  }
}
