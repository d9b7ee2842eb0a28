/** Finds the worker for a planned command, in line with all others that wait for one. */
import { formatProgress } from '../../src/base/amounts.ts';
import type { Layout } from '../../src/base/layout.ts';
import { defaultConfig } from '../../src/config/schema.ts';
import type { MachineFacts } from '../../src/protocol/facts.ts';
import type { Request } from '../classify/request.ts';
import { askedOf, toolsOf } from '../select/eligible.ts';
import type { ExperienceBook } from '../select/experience.ts';
import { couldTake, select, type Contender, type Selection, type Wish } from '../select/select.ts';
import { hereMs } from '../select/worth.ts';
import type { Asked, Planned } from './asked.ts';
import { placeOf, type Subject } from './decision.ts';
import { graveTrouble } from '../lifecycle/health.ts';
import type { WorkerState } from '../lifecycle/worker.ts';
import type { Fleet } from './fleet.ts';
import type { Late } from './probing.ts';
import type { Jobs, Twin } from './jobs.ts';
import type { LeaseDesk } from './leases.ts';
import { placeText, type Line, type Ticket } from './line.ts';
import { LocalFacts } from './local-facts.ts';
import { loadHere } from './pressure.ts';
import { Remembered } from './remembered.ts';
import type { SpeedDesk } from './speed-desk.ts';

export type ChooserParts = {
  readonly layout: Layout;
  readonly fleet: Fleet;
  readonly leases: LeaseDesk;
  readonly jobs: Jobs;
  readonly line: Line;
  readonly experience: ExperienceBook;
  readonly speeds: SpeedDesk;
  /** Cores of this machine. */
  readonly cores: number;
};

/** ms that a command waits for a worker whose first connection is under way; longer when the caller insists. */
const CONNECT_PATIENCE = 3000;
const CONNECT_PATIENCE_FORCED = 60_000;
/** ms that a caller who insists waits for a connection which was lost just now. */
const RETURN_PATIENCE_FORCED = 10_000;
/** ms that a caller who insists waits for a slot at the least. */
const SLOT_PATIENCE_FORCED = 600_000;
/** ms of waiting after which this machine's facts are taken again. */
const FACTS_FRESH = 10_000;
/** Where tools are looked for when the caller has no PATH: what execvp(3) does without one. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/** `twin`: the same command, whose run may serve this one too. */
export type Choice = { readonly selection: Selection; readonly twin: Twin | undefined };

type NoWorker = Extract<Selection, { kind: 'none' }>;

/** A command's search for a worker. */
type Search = {
  readonly asked: Asked;
  readonly planned: Planned;
  /** undefined: it waits for nothing. */
  readonly ticket: Ticket | undefined;
  /** Equal for commands of which one run may serve all. */
  readonly key: string;
  /** This machine as it was at `at`, ms. */
  local?: { readonly at: number; readonly facts: MachineFacts };
  /** What the workers were when it looked last, and how often the bell had rung. */
  standing: string;
  rings: number;
  /** It has waited for those whose facts come late. */
  waitedFor: boolean;
};

const nobody: ReadonlySet<string> = new Set();

const insists = ({ caller }: Asked): boolean => caller.forceRemote || caller.worker !== undefined;

/**
 * Cores that the command would use: what its arguments say, else what is configured for the project, else what the
 * tool takes by itself.
 */
export function coresWished({ candidate }: Asked, { plan, config }: Planned): number {
  const told = candidate.serial === true ? undefined : candidate.cores;
  const single = candidate.family === 'compiler' || candidate.family === 'rustc';
  return told ?? (single ? undefined : config.execution.cores) ?? plan.slots;
}

export class Chooser {
  readonly #parts: ChooserParts;
  readonly #facts = new LocalFacts();
  readonly #standing = new Remembered(() => standingOf(this.#parts.fleet.all()));

  constructor(parts: ChooserParts) {
    this.#parts = parts;
  }

  /** This machine as the request's tools see it. */
  localFacts(request: Request, tools: readonly string[]): Promise<MachineFacts> {
    const path = request.env.get('PATH') ?? DEFAULT_PATH;
    return this.#facts.take(tools, {
      path: Buffer.from(path, 'latin1').toString('utf8'),
      skip: [this.#parts.layout.shims, Buffer.from(request.shimDir, 'latin1').toString('utf8')],
      folder: this.#parts.layout.home,
    });
  }

  /** Without a plan: what the caller and the workers' states rule out already. */
  anybody(asked: Asked): Selection {
    return select(this.#contenders(), this.#wish(asked));
  }

  /**
   * Waits where waiting is better than running here. The slots of a chosen worker count as taken from then on, until
   * the job is added to the jobs or released.
   */
  async choose(asked: Asked, planned: Planned): Promise<Choice> {
    const { line, fleet } = this.#parts;
    const { place } = asked.hooks;
    const { config } = planned;
    const priority = asked.caller.priority ?? config.queue.priority;
    const cores = coresWished(asked, planned);
    const ticket = place === undefined ? undefined : line.join({ ...place, priority, cores });
    try {
      return await this.#chooseInTurn(asked, planned, ticket);
    } finally {
      if (ticket !== undefined) {
        const waited = ticket.wants.size > 0;
        line.leave(ticket, false);
        // Whoever stood behind it may look again.
        if (waited) fleet.changes.ring();
      }
    }
  }

  async #chooseInTurn(asked: Asked, planned: Planned, ticket: Ticket | undefined): Promise<Choice> {
    const { fleet, line } = this.#parts;
    const { hooks } = asked;
    const begun = performance.now();
    const key = hooks.key?.(planned.plan, planned.config) ?? '';
    const search: Search = {
      ...{ asked, planned, ticket, key },
      ...{ standing: '', rings: 0, waitedFor: false },
    };
    let selection: NoWorker | undefined;
    let stood = false;
    for (;;) {
      if (selection !== undefined && this.#looksInVain(search)) search.rings = fleet.changes.rings;
      else {
        const choice = await this.#look(search);
        if (choice.selection.kind === 'chosen') return choice;
        selection = choice.selection;
      }
      if (ticket === undefined || hooks.signal.aborted) return { selection, twin: undefined };
      const waited = performance.now() - begun;
      const left = this.#patience(asked, planned, { selection, waited });
      if (left <= 0)
        return { selection: stood ? tired(selection, waited) : selection, twin: undefined };
      // What rang since it looked was not heard.
      if (fleet.changes.rings !== search.rings) continue;
      stood = selection.busy;
      hooks.wait(selection.busy ? placeText(line.place(ticket), 'a worker') : this.#connecting());
      await fleet.changes.next(left, hooks.signal);
    }
  }

  /**
   * Whether it would find what it found before: all that it waits for is wanted by others before it, no other worker came
   * meanwhile, and nobody runs the same command. Of a long line all are woken at each change, and most for nothing.
   */
  #looksInVain({ ticket, key, standing, asked }: Search): boolean {
    if (ticket === undefined || ticket.wants.size === 0) return false;
    const { fleet, jobs, line } = this.#parts;
    if (asked.hooks.signal.aborted) return true;
    if (this.#standing.of(fleet.changes.rings) !== standing) return false;
    if (jobs.twinOf(key) !== undefined) return false;
    const taken = line.taken(ticket);
    return [...ticket.wants].every((place) => taken.has(place));
  }

  /** Looks for a worker by facts that are fresh enough, and keeps its slots for the command. */
  async #look(search: Search): Promise<Choice> {
    const { fleet, line } = this.#parts;
    const { asked, planned, ticket, key } = search;
    const tools = toolsOf(planned.plan.requirements);
    const names = askedOf(planned.plan.requirements);
    if (search.local === undefined || performance.now() - search.local.at > FACTS_FRESH) {
      const at = performance.now();
      search.local = { at, facts: await this.localFacts(asked.request, tools) };
    }
    const { facts: local } = search.local;
    for (;;) {
      const late = await this.#probe(asked, { planned, local }, names);
      // From here to the reservation nothing is awaited: what is free now is free for this command.
      search.standing = this.#standing.of(fleet.changes.rings);
      const taken = ticket === undefined ? nobody : line.taken(ticket);
      const wish = this.#wish(asked, { planned, local, taken });
      const contenders = this.#contenders(planned.subject, late.ids);
      const joining = this.#joining(contenders, wish, key);
      if (joining !== undefined) {
        asked.hooks.chosen?.(key, joining.twin.worker);
        return joining;
      }
      const selection = select(contenders, wish);
      if (selection.kind === 'none' && late.ids.size > 0 && !search.waitedFor) {
        // Nobody else could take it: now those are waited for that take their time.
        search.waitedFor = true;
        await late.over;
        continue;
      }
      search.rings = fleet.changes.rings;
      if (ticket !== undefined && !asked.hooks.signal.aborted) {
        // At once: whoever looks next must not pass it.
        if (selection.kind === 'none') line.want(ticket, new Set(selection.wants));
        else {
          this.#reserve(ticket, selection);
          asked.hooks.chosen?.(key, selection.worker);
        }
      }
      return { selection, twin: undefined };
    }
  }

  /** Asks those workers for what tools and paths they have whose facts could decide. */
  #probe(
    asked: Asked,
    known: { planned: Planned; local: MachineFacts },
    names: readonly string[],
  ): Promise<Late> {
    const could = (id: string): boolean => {
      const wish = this.#wish(asked, { ...known, taken: nobody });
      return this.#contenders(known.planned.subject).some(
        (each) => each.id === id && couldTake(each, wish),
      );
    };
    return this.#parts.fleet.ensureProbed(names, could);
  }

  /** The worker that runs the same command already, if it may take this one: that takes no slot, and no turn. */
  #joining(
    contenders: readonly Contender[],
    wish: Wish,
    key: string,
  ): { readonly selection: Selection; readonly twin: Twin } | undefined {
    const twin = this.#parts.jobs.twinOf(key);
    if (twin === undefined) return undefined;
    const there = contenders.filter(({ id }) => id === twin.worker);
    const selection = select(
      there.map((each) => ({ ...each, joins: true })),
      wish,
    );
    return selection.kind === 'chosen' ? { selection, twin } : undefined;
  }

  #reserve(ticket: Ticket, { worker, slots }: Extract<Selection, { kind: 'chosen' }>): void {
    this.#parts.jobs.reserve(ticket.id, { worker, slots, caller: ticket.caller.key });
    this.#parts.line.leave(ticket, true);
  }

  /** ms that the command may still wait. */
  #patience(
    asked: Asked,
    { config }: Planned,
    { selection, waited }: { readonly selection: NoWorker; readonly waited: number },
  ): number {
    if (selection.busy) {
      const usual = config.queue.enabled ? config.queue.maxWaitSec * 1000 : 0;
      return (insists(asked) ? Math.max(SLOT_PATIENCE_FORCED, usual) : usual) - waited;
    }
    const connecting = insists(asked) ? CONNECT_PATIENCE_FORCED : CONNECT_PATIENCE;
    // However long it stood in line before: a connection that was lost is waited for from then on.
    return Math.max(selection.pending ? connecting - waited : 0, selection.returningMs);
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

  /** `late`: workers whose facts are out of date. */
  #contenders(
    subject: Subject = { project: '', kind: '' },
    late: ReadonlySet<string> = nobody,
  ): Contender[] {
    const { fleet, experience, jobs, speeds } = this.#parts;
    const now = performance.now();
    const standings = [
      ...fleet.all().map((worker) => ({ worker, state: worker.state, health: worker.health })),
      // One that nothing runs on gives way at once.
      ...fleet.outgoing().map((worker) => ({
        worker,
        ...(jobs.slotsOn(worker.id) > 0
          ? { state: worker.state, health: worker.health }
          : comingUp),
      })),
    ];
    return standings.map(({ worker, state, health }) => ({
      id: worker.id,
      lostMs: lostMs(state, now),
      priority: worker.worker.priority,
      state,
      health,
      ownSlots: jobs.slotsOn(worker.id),
      probed: late.has(worker.id) ? nobody : worker.probed,
      speed: speeds.scoreOf(worker.id),
      prospect: experience.prospect(placeOf(subject), subject.kind, worker.id),
    }));
  }

  #wish(
    asked: Asked,
    known?: { planned: Planned; local: MachineFacts; taken: ReadonlySet<string> },
  ): Wish {
    const { experience, leases, cores } = this.#parts;
    const config = known?.planned.config ?? defaultConfig();
    const { allowedWorkers, blockedWorkers, preferredWorker, minSpeedScore } = config.project;
    const subject = known?.planned.subject ?? { project: '', kind: '' };
    return {
      match:
        known === undefined
          ? undefined
          : { requirements: known.planned.plan.requirements, local: known.local },
      slots: known === undefined ? 1 : coresWished(asked, known.planned),
      taken: known?.taken ?? nobody,
      returnMs: insists(asked) ? RETURN_PATIENCE_FORCED : 0,
      worker: asked.caller.worker,
      workers: asked.caller.workers,
      tried: asked.hooks.tried,
      allowed: config.pool.allowed,
      project: {
        allowed: allowedWorkers,
        blocked: blockedWorkers,
        preferred: preferredWorker,
        minSpeed: minSpeedScore,
      },
      weights: config.selection,
      hereMs: hereMs(experience.of(placeOf(subject), subject.kind), loadHere(leases, cores)),
      network: config.sandbox.network,
      outputsKnown: known === undefined || known.planned.plan.outputs !== undefined,
    };
  }
}

/** A worker whose link is about to be made. */
const comingUp: Pick<Contender, 'state' | 'health'> = {
  state: { kind: 'starting', since: 0 },
  health: { kind: 'unreachable', reason: 'its link is starting', next: '' },
};

function lostMs(state: WorkerState, now: number): number | undefined {
  const away = state.kind === 'unreachable' || state.kind === 'connecting';
  return away && state.lost !== undefined ? now - state.lost : undefined;
}

/** What makes a worker one to wait for, or to go to; slots alone do not. */
function standingOf(workers: readonly Pick<Contender, 'id' | 'state' | 'health'>[]): string {
  return workers
    .map(({ id, state, health }) => {
      const factsAt = state.kind === 'connected' ? state.factsAt : 0;
      return `${id} ${state.kind} ${factsAt} ${health.kind} ${graveTrouble(health)?.kind ?? ''}`;
    })
    .join('\n');
}

function tired(selection: NoWorker, waited: number): NoWorker {
  const seconds = Math.round(waited / 1000);
  return { ...selection, reason: `after ${seconds} s in line ${selection.reason}` };
}
