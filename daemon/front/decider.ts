/** Decides a question: by its name and arguments alone where that is enough, else by plan, cost and workers. */
import { defaultConfig } from '../../src/config/schema.ts';
import { classify } from '../classify/classify.ts';
import { keptByRules, type Rules } from '../classify/confidence.ts';
import type { AliasLookup, Request } from '../classify/request.ts';
import type { Candidate } from '../classify/verdict.ts';
import type { Learned } from '../journal/learned.ts';
import { aliasesOf } from '../plan/aliases.ts';
import { withholder } from '../../src/config/environment.ts';
import { BuildScanner } from '../plan/build-needs.ts';
import { PlanCaches } from '../plan/caches.ts';
import { plan } from '../plan/plan.ts';
import { projectOf } from '../plan/project.ts';
import { fitting } from '../select/patterns.ts';
import type { FallbackCause } from '../select/select.ts';
import { hereMs, worth, type CostRules, type Worth } from '../select/worth.ts';
import type { ConfigOutcome } from '../../src/config/load.ts';
import type { Asked, DecisionHooks, Planned } from './asked.ts';
import { Chooser, coresWished, type ChooserParts, type Choice } from './chooser.ts';
import {
  placeOf,
  Reasons,
  type Decision,
  type LocalDecision,
  type Look,
  type Subject,
} from './decision.ts';
import { withVariables } from './request.ts';
import { settingsOf } from './request.ts';
import { Looks } from './looks.ts';
import { loadHere } from './pressure.ts';
import { brokenReason, type Settings } from './settings.ts';

export type DeciderParts = ChooserParts & {
  readonly settings: Settings;
  readonly learned: Learned;
};

/** ms for a cargo metadata or the like. */
const PLAN_DEADLINE = 30_000;
/** ms of estimate from which a command that stays here takes a lease. */
const HEAVY = 1000;

function stay(
  asked: Asked,
  reason: string,
  more: { weight?: 'light' | 'heavy'; subject?: Subject; fallback?: FallbackCause } = {},
): LocalDecision {
  return {
    kind: 'local',
    reason,
    weight: more.weight ?? 'heavy',
    cores: asked.candidate.cores,
    subject: more.subject,
    details: asked.reasons.details(),
    fallback: more.fallback,
  };
}

/** Cores of a heavy command that no classifier looked into: cargo takes all it finds, cmake and meson configure on one. */
function coresOfLocal(tool: string): number | undefined {
  return tool === 'cargo' ? undefined : 1;
}

export class Decider {
  readonly #parts: DeciderParts;
  readonly #caches = new PlanCaches();
  readonly #scanner = new BuildScanner();
  readonly #chooser: Chooser;
  readonly #looks: Looks;

  constructor(parts: DeciderParts) {
    this.#parts = parts;
    this.#looks = new Looks(parts);
    this.#chooser = new Chooser(parts);
  }

  /** A decision that needs no I/O, or undefined when the command may have to go through `weigh`. */
  quick(request: Request): LocalDecision | Candidate {
    const verdict = classify(request, this.aliasesOf(request));
    if (verdict.kind === 'candidate') return verdict;
    return { ...verdict, cores: coresOfLocal(request.tool), subject: undefined, details: null };
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
        cores: candidate.cores,
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
    let { selection, twin } = await this.#choose(asked, planned);
    const prepared = selection.kind === 'none' ? planned : await this.#prepare(asked, planned);
    if ('kind' in prepared) return prepared;
    const ready = prepared;
    // Only now is it known what the command needs there.
    if (ready !== planned) ({ selection, twin } = await this.#choose(asked, ready));
    const wished = coresWished(asked, ready);
    if (selection.kind === 'none') {
      reasons.note('next', selection.next);
      const { subject } = ready;
      const fallback = selection.cause;
      return { ...stay(asked, selection.reason, { subject, fallback }), cores: wished };
    }
    return {
      kind: 'remote',
      worker: selection.worker,
      slots: selection.slots,
      wished,
      reason: ready.worth.reason,
      hereMs: this.#hereMs(asked, ready),
      candidate,
      twin,
      ...ready,
      details: reasons.details(),
    };
  }

  async #choose(asked: Asked, planned: Planned): Promise<Choice> {
    const choice = await this.#chooser.choose(asked, planned);
    asked.reasons.table(choice.selection.table);
    return choice;
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
    const anybody = this.#chooser.anybody(asked);
    reasons.table(anybody.table);
    if (anybody.kind === 'chosen' || anybody.busy || anybody.pending || anybody.returningMs > 0)
      return undefined;
    reasons.note('next', anybody.next);
    return stay(asked, anybody.reason, { fallback: anybody.cause });
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
      load: loadHere(this.#parts.leases, this.#parts.cores),
      rules: this.#rules(asked.request),
    });
  }

  /** What a first upload is measured by: 0 where the user wants the command elsewhere whatever it takes. */
  #hereMs(asked: Asked, { subject, plan }: Planned): number {
    const { forceRemote, worker } = asked.caller;
    if (forceRemote || worker !== undefined) return 0;
    if (this.#rules(asked.request).always !== undefined) return 0;
    const load = loadHere(this.#parts.leases, this.#parts.cores);
    const past = this.#parts.experience.of(placeOf(subject), subject.kind);
    return Math.max(1, Math.round(hereMs(past, load) ?? plan.estimateMs * load));
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
    const foreseen = fetched ? undefined : this.#looks.foresee(asked);
    const base = this.#around(asked.request.cwd);
    if (!base.ok) return stay(asked, brokenReason(base));
    const { candidate, reasons } = asked;
    const request = withVariables(asked.request, base.value.config.execution.env);
    const looks: Look[] = [];
    const made = await plan(request, candidate, {
      look: (root, last) => this.#looks.at(asked, { root, last }, { looks, foreseen }),
      ...(asked.hooks.inherits === undefined ? {} : { inherits: asked.hooks.inherits }),
      caches: this.#caches,
      scanner: this.#scanner,
      withheld: withholder(base.value.config.environment),
      fetched,
      exclude: base.value.config.transfer.exclude.patterns,
      gitLimit: base.value.config.transfer.maxGitSizeMb * 1e6,
      machine: await this.#chooser.localFacts(request, []),
      defaultSlots: this.#parts.cores,
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
}
