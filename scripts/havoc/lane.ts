/** One caller: builds its project again and again, with edits between and faults during the builds, and checks each. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ended, type Ended, type HistoryRow } from '../../test/rig/world.ts';
import { CargoProject } from './cargo-project.ts';
import { happen } from './faults.ts';
import { judgeEnd, judgeRuns, LOST, type Tally } from './judge.ts';
import { MakeProject } from './make-project.ts';
import { planStep, type Fault, type FaultKind, type StepPlan } from './plan.ts';
import type { Project } from './project.ts';
import type { Site } from './site.ts';
import type { Weather } from './weather.ts';

/** ms for a build to end, whatever happens: several times what any deadline of ours allows. */
const HANG = 180_000;
/** Records of the history that are looked at for those of one step. */
const RECENT = 30;

/** How often a daemon that was killed is asked again, and ms between. */
const ASKS = 20;
const ASK_AGAIN = 250;

export type Finding = { readonly lane: number; readonly build: number; readonly what: string };

export type LaneOptions = {
  readonly site: Site;
  readonly weather: Weather;
  readonly number: number;
  readonly seed: number;
  readonly cargo: boolean;
  readonly kinds: readonly FaultKind[];
  readonly log: (text: string) => void;
};

/** A step that is over: how often its build may have run altogether, and how often it had. */
type Past = { readonly build: number; readonly name: string; readonly commands: number };

export class Lane {
  readonly findings: Finding[] = [];
  readonly tally: Tally = { builds: 0, right: 0, lost: 0, killed: 0, failed: 0 };
  readonly #options: LaneOptions;
  readonly #project: Project;
  readonly #past: Past[] = [];
  #build = 0;

  constructor(options: LaneOptions) {
    const { site, number, cargo } = options;
    this.#options = options;
    const folder = join(site.base, `lane${number}`);
    const project = { folder, env: site.world.env, mark: site.markAddress };
    this.#project = cargo ? new CargoProject(project) : new MakeProject(project);
  }

  async run(steps: number): Promise<void> {
    for (const last = this.#build + steps; this.#build < last;) {
      this.#build += 1;
      try {
        await this.#once();
      } catch (thrown) {
        this.#find(thrown instanceof Error ? thrown.message : String(thrown));
      }
    }
  }

  /** A build so that the worker has what all builds need; nothing is judged. */
  async warm(): Promise<void> {
    const argv = this.#project.build({ name: `warm${this.#options.number}`, gently: true });
    const end = await this.#options.site.world.run(argv, {
      cwd: this.#project.folder,
      env: this.#env({ way: 'insist' }),
    });
    if (end.code !== 0) throw new Error(`the first build fails: ${end.stderr.toString()}`);
  }

  /** To be called when nothing runs any more: what ran although its build was over. */
  lookBack(): void {
    for (const { build, name, commands } of this.#past) {
      const runs = this.#options.site.runs(name);
      // The real tools that settle a crate mark it from here.
      if (runs.there > commands)
        this.#find(`it ran ${runs.there} times on workers for ${commands} commands`, build);
    }
  }

  #find(what: string, build = this.#build): void {
    const { number, log } = this.#options;
    this.findings.push({ lane: number, build, what });
    log(`FINDING lane ${number} build ${build}: ${what}`);
  }

  #env({ way }: Pick<StepPlan, 'way'>): Record<string, string> {
    const { cargo, site } = this.#options;
    return {
      ...(way === 'free' ? {} : { RCH_FORCE_REMOTE: '1' }),
      // So that the toolchain is brought once, and to where there is room for it.
      ...(cargo ? { RCH_WORKERS: site.fleet.workers.at(-1)?.id ?? '' } : {}),
    };
  }

  async #once(): Promise<void> {
    const { site, weather, seed, number, kinds } = this.#options;
    const project = this.#project;
    const plan = planStep(seed, number, this.#build, { kinds, workers: site.fleet.workers.length });
    for (const edit of plan.edits) project.edit(edit);
    const sure = project.edits;
    const name = `l${number}b${this.#build}`;
    const kills = plan.faults.some(({ kind }) => kind === 'shim-killed');
    const gently = plan.way !== 'insist' || kills;
    const argv = project.build({ name, gently });
    const from = performance.now();
    const since = Date.now();
    const twins = plan.way === 'twins';
    const children = Array.from({ length: twins ? 2 : 1 }, () => {
      const where = { cwd: project.folder, env: this.#env(plan), detached: true };
      const options = { ...where, noInput: twins };
      const child = site.world.spawn(argv, options);
      child.stdin?.end();
      return child;
    });
    const faults = plan.faults.map((each) => this.#befall(each, children));
    const ends = await Promise.all(children.map((child) => this.#inTime(ended(child), child)));
    const till = performance.now();
    await Promise.all(faults);
    this.#past.push({ build: this.#build, name, commands: children.length });
    const whole = ends.filter((end) => end !== undefined);
    const found = this.findings.length;
    if (whole.length === ends.length)
      await this.#judge(whole, { plan, name, since, sure, wrong: weather.during(from, till) });
    if (this.findings.length > found) this.#options.log(site.said(since));
    this.#tell(plan, ends, till - from);
  }

  #tell(plan: StepPlan, ends: readonly (Ended | undefined)[], ms: number): void {
    const words = plan.faults.map(({ kind }) => kind).join('+') || 'quiet';
    const how = ends.map(howEnded).join(' and ');
    const { number, log } = this.#options;
    log(
      `lane ${number} build ${this.#build}: ${plan.way}, ${words}: ${how} in ${Math.round(ms)} ms`,
    );
  }

  async #befall(fault: Fault, [child]: readonly ChildProcess[]): Promise<void> {
    const { site, weather } = this.#options;
    await delay(fault.after);
    const over = weather.begin(fault.kind);
    const killShim = (): void => {
      if (child !== undefined) killGroup(child);
    };
    await happen(fault, { site, project: this.#project, killShim }).finally(over);
  }

  async #inTime(end: Promise<Ended>, child: ChildProcess): Promise<Ended | undefined> {
    const over = new AbortController();
    const late = delay(HANG, undefined, { signal: over.signal }).catch(() => undefined);
    const first = await Promise.race([end, late]);
    over.abort();
    if (first !== undefined) return first;
    this.#find(`it did not end in ${HANG / 1000} s`);
    killGroup(child);
    await end;
    return undefined;
  }

  async #judge(ends: readonly Ended[], step: Step): Promise<void> {
    const project = this.#project;
    const { site } = this.#options;
    const edited = project.edits !== step.sure;
    const rows = await this.#rows(step.since);
    const runs = site.runs(step.name);
    const { wrong, plan } = step;
    for (const end of ends)
      for (const what of judgeEnd(end, { wrong, plan, tally: this.tally })) this.#find(what);
    for (const what of judgeRuns(ends, runs, rows)) this.#find(what);
    for (const harm of project.harm()) this.#find(harm);
    if (runs.here + runs.there > 1) project.removeRivals();
    if (ends.some(({ code }) => code === 0) && !edited) {
      const more = await project.toDo();
      if (more !== '') this.#find(`it ended well, and there is more to do: ${more}`);
      for (const difference of await project.compare())
        this.#find(`after it ended well: ${difference}`);
    }
    // The real make itself takes what was edited under its compiler's eyes for older than what the compiler made of it.
    const allThere = rows.filter(({ decision }) => decision === 'remote').length >= ends.length;
    if (edited && (!allThere || runs.here > 0)) project.touch();
    // Whatever became of it: the real tool goes on from there to the right result.
    for (const difference of await project.settle()) this.#find(`afterwards: ${difference}`);
    for (const harm of project.harm()) this.#find(`afterwards: ${harm}`);
  }

  /** The daemon may be killed while it tells, by another lane's fault. */
  async #history(): Promise<HistoryRow[]> {
    for (let left = ASKS; ; left--) {
      try {
        return await this.#options.site.world.history(RECENT);
      } catch (thrown) {
        if (left === 0) throw thrown;
        await delay(ASK_AGAIN);
      }
    }
  }

  /** What was written down of the commands of a step that began then (ms). */
  async #rows(since: number): Promise<HistoryRow[]> {
    const rows = await this.#history();
    return rows.filter(
      ({ cwd, startedAt }) => cwd === this.#project.folder && Date.parse(startedAt) >= since,
    );
  }
}

/** With the word of ours that went with it. */
function howEnded(end: Ended | undefined): string {
  if (end === undefined) return 'hung';
  const said = end.code === LOST ? ` (${end.stderr.toString().trim()})` : '';
  return `${end.signal ?? end.code ?? 'nothing'}${said}`;
}

type Step = {
  readonly plan: StepPlan;
  readonly name: string;
  readonly since: number;
  /** Edits before it began. */
  readonly sure: number;
  readonly wrong: ReadonlySet<FaultKind>;
};

/** With the tool's own children where the tool runs in the launcher's place. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
