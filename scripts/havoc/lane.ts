/** One caller: builds its project again and again, with edits between and faults during the builds, and checks each. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ended, type Ended } from '../../test/rig/world.ts';
import { Chance } from './chance.ts';
import { chooseFault, happen, type Fault, type FaultKind } from './faults.ts';
import { Project } from './project.ts';
import type { Site } from './site.ts';

/** ms for a build to end, whatever happens: several times what any deadline of ours allows. */
const HANG = 180_000;
/** ms that a fault may still be felt. */
const AFTERMATH = 10_000;

export type Finding = { readonly lane: number; readonly build: number; readonly what: string };

/** What the lanes share: when what was wrong, since one lane's fault is every lane's. */
export class Weather {
  readonly #faults: { readonly kind: FaultKind; readonly from: number; till: number }[] = [];
  readonly counts = new Map<FaultKind, number>();

  begin(kind: FaultKind): () => void {
    const fault = { kind, from: performance.now(), till: Infinity };
    this.#faults.push(fault);
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    return () => {
      fault.till = performance.now();
    };
  }

  /** What was wrong between two moments, or shortly before. */
  during(from: number, till: number): Set<FaultKind> {
    const near = this.#faults.filter((each) => each.from <= till && each.till + AFTERMATH >= from);
    return new Set(near.map(({ kind }) => kind));
  }
}

export type Tally = {
  builds: number;
  right: number;
  /** Ended with 102, and with a message. */
  lost: number;
  /** By the SIGKILL of a fault. */
  killed: number;
  /** The tool itself failed, for want of room. */
  failed: number;
};

export type LaneOptions = {
  readonly site: Site;
  readonly weather: Weather;
  readonly number: number;
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  readonly log: (text: string) => void;
};

export class Lane {
  readonly findings: Finding[] = [];
  readonly tally: Tally = { builds: 0, right: 0, lost: 0, killed: 0, failed: 0 };
  readonly #options: LaneOptions;
  readonly #chance: Chance;
  readonly #project: Project;
  #build = 0;

  constructor(options: LaneOptions) {
    const { site, seed, number } = options;
    this.#options = options;
    this.#chance = new Chance(seed * 1000 + number);
    const path = site.world.env['PATH'] ?? '/usr/bin:/bin';
    this.#project = new Project(join(site.base, `lane${number}`), { path });
  }

  async run(builds: number): Promise<void> {
    for (this.#build = 1; this.#build <= builds; this.#build++) {
      try {
        await this.#once();
      } catch (thrown) {
        this.#find(thrown instanceof Error ? thrown.message : String(thrown));
      }
    }
  }

  #find(what: string): void {
    const { number, log } = this.#options;
    this.findings.push({ lane: number, build: this.#build, what });
    log(`FINDING lane ${number} build ${this.#build}: ${what}`);
  }

  /** Everything that chance decides is decided before anything begins, so that a seed gives the same plan. */
  #plan(): { edits: number; faults: { fault: Fault; after: number }[] } {
    const chance = this.#chance;
    const { kinds, site } = this.#options;
    const edits = chance.between(1, 4);
    const count = chance.pick([0, 1, 1, 1, 2]);
    const faults = Array.from({ length: count }, () => ({
      fault: chooseFault(chance, kinds, site.fleet.workers.length),
      after: chance.between(0, 1000),
    }));
    return { edits, faults };
  }

  async #once(): Promise<void> {
    const { site, weather } = this.#options;
    const project = this.#project;
    const plan = this.#plan();
    for (let edit = 0; edit < plan.edits; edit++) project.edit(this.#chance);
    const sure = project.edits;
    const from = performance.now();
    const child = site.world.spawn(['make', '-j2'], {
      cwd: project.folder,
      env: { RCH_FORCE_REMOTE: '1' },
    });
    child.stdin?.end();
    const faults = plan.faults.map((each) => this.#befall(each, child));
    const end = await this.#inTime(ended(child), child);
    const till = performance.now();
    await Promise.all(faults);
    this.tally.builds += 1;
    if (end !== undefined) await this.#judge(end, weather.during(from, till), sure);
    const words = plan.faults.map(({ fault }) => fault.kind).join('+') || 'quiet';
    const how = end?.signal ?? end?.code ?? 'hung';
    this.#options.log(
      `lane ${this.#options.number} build ${this.#build}: ${words}: ${how} in ${Math.round(till - from)} ms`,
    );
  }

  async #befall(
    { fault, after }: { fault: Fault; after: number },
    child: ChildProcess,
  ): Promise<void> {
    const { site, weather } = this.#options;
    await delay(after);
    const over = weather.begin(fault.kind);
    const killShim = (): void => {
      child.kill('SIGKILL');
    };
    await happen(fault, { site, project: this.#project, chance: this.#chance, killShim }).finally(
      over,
    );
  }

  async #inTime(end: Promise<Ended>, child: ChildProcess): Promise<Ended | undefined> {
    const over = new AbortController();
    const late = delay(HANG, undefined, { signal: over.signal }).catch(() => undefined);
    const first = await Promise.race([end, late]);
    over.abort();
    if (first !== undefined) return first;
    this.#find(`it did not end in ${HANG / 1000} s`);
    child.kill('SIGKILL');
    await end;
    return undefined;
  }

  async #judge(end: Ended, wrong: ReadonlySet<FaultKind>, sure: number): Promise<void> {
    const project = this.#project;
    const edited = project.edits !== sure;
    this.#judgeEnd(end, wrong);
    for (const harm of project.harm()) this.#find(harm);
    if (end.code === 0 && !edited) {
      if (!(await project.upToDate())) this.#find('it ended well, and make finds more to do');
      for (const difference of await project.compare())
        this.#find(`after it ended well: ${difference}`);
    }
    // The real make itself takes what was edited under its compiler's eyes for older than what the compiler made of it.
    if (edited && !(await this.#ranThere())) project.touch();
    // Whatever became of it: the real make goes on from there to the right result.
    for (const difference of await project.settle()) this.#find(`afterwards: ${difference}`);
    for (const harm of project.harm()) this.#find(`afterwards: ${harm}`);
  }

  /** Whether the last build of this lane ran on a worker. */
  async #ranThere(): Promise<boolean> {
    const rows = await this.#options.site.world.history(20);
    const last = rows.find(({ cwd }) => cwd === this.#project.folder);
    return last?.decision === 'remote';
  }

  #judgeEnd({ code, signal, stdout, stderr }: Ended, wrong: ReadonlySet<FaultKind>): void {
    const said = stderr.toString();
    if (code === 0) {
      this.tally.right += 1;
      if (!/\nsum -?\d+\n$|^sum -?\d+\n$/.test(stdout.toString()))
        this.#find('its output has no end');
      if (said !== '') this.#find(`it ended well, and said ${JSON.stringify(said)}`);
    } else if (signal === 'SIGKILL' && wrong.has('shim-killed')) this.tally.killed += 1;
    else if (code === 102 && /^rch: \S.*\n$/.test(said)) {
      this.tally.lost += 1;
      if (wrong.size === 0) this.#find(`it was lost in quiet times: ${said}`);
    } else if (
      wrong.has('disk-full') &&
      /No space left|cannot (write|create)|final link failed/.test(said)
    )
      this.tally.failed += 1;
    else this.#find(`it ended with ${signal ?? code}: ${JSON.stringify(said.slice(-400))}`);
  }
}
