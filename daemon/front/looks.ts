/**
 * Has links look at projects on behalf of plans. A command's look begins beside its plan where the commands of its folder
 * needed one before: to walk a large tree takes about as long as all else that is found out of it.
 */
import { keep } from '../../src/base/bounded.ts';
import type { Result } from '../../src/base/result.ts';
import type { PlannedRoot, ToldSources } from '../../src/protocol/ipc.ts';
import type { Told } from '../plan/needs/told-project.ts';
import type { ExperienceBook } from '../select/experience.ts';
import type { Asked } from './asked.ts';
import type { Look } from './decision.ts';
import type { Fleet } from './fleet.ts';
import type { Worker } from './worker.ts';

/** ms for a link to look at a project. */
const DEADLINE = 10_000;
/** Folders and roots remembered. */
const MOST = 200;

export type LooksParts = { readonly fleet: Fleet; readonly experience: ExperienceBook };

/** A look that goes on from `last`. */
type Wanted = { readonly root: PlannedRoot; readonly last: string };

/** One that is under way before the plan asked for it. */
export type Foreseen = Wanted & {
  readonly worker: Worker;
  readonly told: Promise<Result<ToldSources>>;
};

const same = (a: Wanted, b: Wanted): boolean =>
  a.last === b.last && JSON.stringify(a.root) === JSON.stringify(b.root);

const folderOf = ({ request, candidate }: Asked): string => `${candidate.command}\0${request.cwd}`;

export class Looks {
  readonly #parts: LooksParts;
  /** The root that was looked at last for a kind of command in a folder. */
  readonly #roots = new Map<string, PlannedRoot>();
  /** The name of the last look at a root, by its path. */
  readonly #last = new Map<string, string>();

  constructor(parts: LooksParts) {
    this.#parts = parts;
  }

  /** Begins the look that the plan of this command will most likely ask for; undefined where none is to be expected. */
  foresee(asked: Asked): Foreseen | undefined {
    const root = this.#roots.get(folderOf(asked));
    const last = root === undefined ? undefined : this.#last.get(root.path);
    if (root === undefined || last === undefined) return undefined;
    const worker = this.#lookerFor(asked, root);
    if (worker === undefined) return undefined;
    return { root, last, worker, told: worker.requests.look(root, last, DEADLINE) };
  }

  /** Has the link look whose worker is the likely one: the one that has the project, else the only one there is. */
  async at(
    asked: Asked,
    wanted: Wanted,
    of: { readonly looks: Look[]; readonly foreseen: Foreseen | undefined },
  ): Promise<Told | undefined> {
    const { root, last } = wanted;
    const worker = this.#lookerFor(asked, root);
    const { foreseen } = of;
    // It holds the root as long as it looks: another would be refused, and one that was may find the root free by now.
    const early = foreseen?.worker === worker ? await foreseen?.told : undefined;
    const serves = early?.ok === true && foreseen !== undefined && same(foreseen, wanted);
    const told = serves ? early : await worker?.requests.look(root, last, DEADLINE);
    if (worker === undefined || told?.ok !== true) return undefined;
    const { look } = told.value;
    keep(this.#roots, MOST, folderOf(asked), root);
    keep(this.#last, MOST, root.path, look);
    of.looks.push({ worker: worker.id, name: look });
    return told.value;
  }

  #lookerFor({ caller }: Asked, root: PlannedRoot): Worker | undefined {
    const { fleet, experience } = this.#parts;
    const ready = fleet.all().filter(({ state }) => state.kind === 'connected');
    if (caller.worker !== undefined) return ready.find(({ id }) => id === caller.worker);
    const missing = (id: string): number => experience.prospect(root.path, '', id).missing;
    const [nearest] = ready.toSorted((a, b) => missing(a.id) - missing(b.id));
    return nearest;
  }
}
