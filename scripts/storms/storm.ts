/** Many callers building at once on three workers: runs the storm, and finds out what held and what it cost. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Fleet } from '../../test/rig/fleet.ts';
import { spread } from '../../test/rig/spread.ts';
import { World, type HistoryRow } from '../../test/rig/world.ts';
import { putBehind } from './background.ts';
import { treeSeconds } from './cpu.ts';
import { overtaken, type Wait } from './fairness.ts';
import { leftovers, openFiles, stillRuns } from './leftovers.ts';
import { Marks } from './marks.ts';
import { passThroughDuring, type Latency } from './latency.ts';
import { addWorktree, makeRepository } from './repository.ts';
import { Caller, type Ran } from './storm-caller.ts';
import { agentLog, slotRecordOf } from './slot-record.ts';

const execute = promisify(execFile);

/** Slots of the workers: three sizes. */
export const sizes = [1, 2, 4] as const;

export type StormOptions = {
  readonly callers: number;
  readonly builds: number;
  /** So many of the callers use cargo. */
  readonly cargo: number;
  readonly seed: number;
  /** Functions in each of the four parts of the C program. */
  readonly weight: number;
  /** Whether to measure: waits, CPU, and meanwhile what a command that stays here costs. */
  readonly measure: boolean;
  readonly say: (text: string) => void;
};

export type WorkerReport = {
  readonly id: string;
  readonly slots: number;
  readonly most: number;
  readonly jobs: number;
};

export type StormReport = {
  readonly seed: number;
  readonly builds: number;
  readonly remote: number;
  readonly local: number;
  /** Those of them whose launcher got no acknowledgement in time, and went on by itself. */
  readonly alone: number;
  /** Why the others those ran here, with how many. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly workers: readonly WorkerReport[];
  /** s, from the first build to the last end. */
  readonly seconds: number;
  /** ms that each caller waited altogether, from question to answer, least first. */
  readonly waits: readonly number[];
  /** s of CPU: of rch here, and of the builds that ran elsewhere as the real tools take it here. */
  readonly cpu: {
    readonly rch: Readonly<Record<string, number>>;
    readonly offloaded: number;
  };
  readonly latency: Latency | undefined;
  /** Everything that did not hold; empty after a good storm. */
  readonly wrong: readonly string[];
};

/** What a run of the storm stands on. */
export type Ground = {
  readonly fleet: Fleet;
  readonly world: World;
  readonly folder: string;
  readonly marks: Marks;
  /** To be called when the workers are gone. */
  readonly ended: () => Promise<void>;
};

/**
 * Workers stand for other machines: where this one's time is measured, they get what is left of the CPU, with all that
 * they start.
 */
function stepBack(fleet: Fleet): Promise<() => Promise<void>> {
  return putBehind(fleet.workers.map(({ root }) => /^\/proc\/(\d+)\//.exec(root)?.[1] ?? ''));
}

async function prepareGround({ measure }: StormOptions): Promise<Ground> {
  const fleet = await Fleet.up('storm', sizes.length);
  const folder = spread(mkdtempSync(join(tmpdir(), 'rch-storm-')));
  let ended = (): Promise<void> => Promise.resolve();
  try {
    const toml = fleet.workers.reduce(
      (text, { id }, at) =>
        text.replace(`id = "${id}"`, `id = "${id}"\ntotal_slots = ${sizes[at] ?? 1}`),
      fleet.workersToml(),
    );
    const world = await World.create(toml, '[queue]\nmax_wait_sec = 600\n');
    world.writeConfig('known_hosts', fleet.knownHosts());
    if (measure) ended = await stepBack(fleet);
    await world.start();
    return { fleet, world, folder, marks: await Marks.open(), ended };
  } catch (thrown) {
    rmSync(folder, { recursive: true, force: true });
    await fleet.release();
    await ended();
    throw thrown;
  }
}

/** The callers, and the worktrees they build in: two with make share one, cargo has one for each. */
function makeCallers(ground: Ground, options: StormOptions): Caller[] {
  const { fleet, folder, marks, world } = ground;
  const names = Array.from({ length: options.callers }, (_, at) => `c${at}`);
  const repository = join(folder, 'repository');
  mkdirSync(repository);
  makeRepository(repository, names, options.weight);
  const trees = new Set<string>();
  // Workers reach this machine at the first address of their network.
  const host = fleet.worker(0).host.replace(/\.2$/, '.1');
  return names.map((name, at) => {
    const cargo = at < options.cargo;
    const worktree = join(folder, cargo ? `crate-${at}` : `tree-${Math.floor(at / 2)}`);
    if (!trees.has(worktree)) addWorktree(repository, worktree);
    trees.add(worktree);
    return new Caller({
      ...{ name, cargo, worktree, world },
      builds: options.builds,
      seed: options.seed * 1000 + at,
      // Half of them are known by their session alone.
      env: at % 2 === 0 ? { RCH_CALLER: name } : {},
      mark: { host, port: marks.port },
    });
  });
}

/** Connects the workers, and brings the toolchain where cargo is to build: the storm is no first upload. */
async function warmUp({ world, fleet }: Ground, callers: readonly Caller[]): Promise<void> {
  const ids = fleet.workers.map(({ id }) => id);
  await Promise.all(ids.map((id) => world.rch(['workers', 'probe', id])));
  const caller = callers.find((each) => each.usesCargo);
  for (const id of ids) await caller?.warm(id);
}

/** Seconds of CPU that a build of each kind takes here with the real tools; the median of three. */
async function costHere(callers: readonly Caller[], cargo: boolean): Promise<number> {
  const caller = callers.find((each) => each.usesCargo === cargo);
  if (caller === undefined) return 0;
  const seconds: number[] = [];
  for (let round = 0; round < 3; round++) seconds.push(await caller.costHere());
  return seconds.sort((a, b) => a - b)[1] ?? 0;
}

function checkBuilds(all: readonly Ran[], marks: Marks): string[] {
  const wrong = all.flatMap((ran) => (ran.fault === '' ? [] : [`${ran.name}: ${ran.fault}`]));
  for (const { name } of all)
    if (marks.of(name) !== 1) wrong.push(`${name} ran ${marks.of(name)} times`);
  return wrong;
}

function checkSlots(
  { fleet }: Ground,
  history: readonly HistoryRow[],
  wrong: string[],
): WorkerReport[] {
  return fleet.workers.map(({ id, home }, at) => {
    const slots = sizes[at] ?? 1;
    const record = slotRecordOf(agentLog(home), slots);
    wrong.push(...record.wrong.map((text) => `${id}: ${text}`));
    if (record.left !== 0) wrong.push(`${id}: ${record.left} slots are still lent`);
    if (new Set(record.jobs).size !== record.jobs.length)
      wrong.push(`${id}: a job got slots twice`);
    const sent = history.filter(({ worker, decision }) => worker === id && decision === 'remote');
    const unknown = sent.filter((row) => !record.jobs.includes(row.id));
    for (const row of unknown)
      if (row.exit !== null) wrong.push(`${id}: ${row.id} ended there without slots`);
    return { id, slots, most: record.most, jobs: sent.length };
  });
}

function waitOf(caller: string, { startedAt, phases }: HistoryRow): Wait {
  const asked = Date.parse(startedAt);
  return { caller, asked, served: asked + (phases['queue'] ?? 0) };
}

/** ms from question to answer of all these. */
function waitedIn(rows: readonly HistoryRow[]): number {
  return rows.reduce((sum, { phases }) => sum + (phases['queue'] ?? 0), 0);
}

/** A wait of so few ms on the median says nothing about fairness. */
const LEAST_WAIT = 1000;

function checkFairness(waits: readonly number[], wrong: string[]): void {
  const median = waits[Math.floor(waits.length / 2)] ?? 0;
  const longest = waits.at(-1) ?? 0;
  if (median >= LEAST_WAIT && longest > 2 * median)
    wrong.push(`a caller waited ${Math.round(longest)} ms, the median is ${Math.round(median)} ms`);
}

function countReasons(rows: readonly HistoryRow[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { reason } of rows) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

async function daemonPid(world: World): Promise<number> {
  const status = JSON.parse(await world.rch(['daemon', 'status', '--json'])) as { pid: number };
  return status.pid;
}

type Parts = StormReport['cpu']['rch'];
type Cost = { readonly make: number; readonly cargo: number };

async function blow(
  ground: Ground,
  callers: readonly Caller[],
  options: StormOptions,
): Promise<{ all: Ran[]; seconds: number; rch: Parts; latency: Latency | undefined }> {
  const daemon = await daemonPid(ground.world);
  const before = treeSeconds(daemon);
  const begun = performance.now();
  const over = new AbortController();
  const meanwhile = options.measure
    ? passThroughDuring(ground.world, ground.folder, over.signal)
    : Promise.resolve(undefined);
  const all = (await Promise.all(callers.map((caller) => caller.run()))).flat();
  const seconds = (performance.now() - begun) / 1000;
  const launchers = all.reduce((sum, { launcher }) => sum + launcher, 0);
  const after = treeSeconds(daemon);
  const rch: Record<string, number> = { launchers };
  for (const [part, seconds] of Object.entries(after)) rch[part] = seconds - (before[part] ?? 0);
  over.abort();
  return { all, seconds, rch, latency: await meanwhile };
}

async function report(
  ground: Ground,
  callers: readonly Caller[],
  options: StormOptions,
): Promise<StormReport> {
  const { world, marks } = ground;
  const { say } = options;
  say('connecting, and bringing what the builds need');
  await warmUp(ground, callers);
  say('looking what such builds cost here');
  const cost: Cost = options.measure
    ? { make: await costHere(callers, false), cargo: await costHere(callers, true) }
    : { make: 0, cargo: 0 };
  const filesBefore = openFiles(await daemonPid(world));
  say(`${options.callers} callers, ${options.builds} builds each, seed ${options.seed}`);
  const since = Date.now();
  const storm = await blow(ground, callers, options);
  say(`over after ${storm.seconds.toFixed(0)} s; looking at what is left`);
  const wrong = checkBuilds(storm.all, marks);
  wrong.push(...(await stillRuns(ground)));
  const history = await world.history(10_000);
  const workers = checkSlots(ground, history, wrong);
  const recorded = callers.map((caller) => caller.recorded(history, since));
  const rows = recorded.flat();
  // One whose launcher went on by itself before it committed has no end there.
  const remote = rows.filter(({ decision, exit }) => decision === 'remote' && exit !== null);
  const here = storm.all.filter((ran) => ran.here).length;
  if (remote.length + here !== storm.all.length)
    wrong.push(`${remote.length} builds elsewhere and ${here} here are not ${storm.all.length}`);
  const waits = recorded.map(waitedIn).sort((a, b) => a - b);
  if (options.measure) checkFairness(waits, wrong);
  const named = callers.flatMap(({ name }, at) =>
    (recorded[at] ?? [])
      .filter(({ decision }) => decision === 'remote')
      .map((row) => waitOf(name, row)),
  );
  wrong.push(...overtaken(named));
  wrong.push(...(await leftovers(ground, filesBefore, await daemonPid(world))));
  say('taking all of it down');
  const cargo = remote.filter(({ argv }) => argv[0] === 'cargo').length;
  return {
    seed: options.seed,
    builds: storm.all.length,
    remote: remote.length,
    local: here,
    alone: storm.all.length - rows.length,
    reasons: countReasons(rows.filter(({ decision }) => decision === 'local')),
    workers,
    seconds: storm.seconds,
    waits,
    cpu: { rch: storm.rch, offloaded: cargo * cost.cargo + (remote.length - cargo) * cost.make },
    latency: storm.latency,
    wrong,
  };
}

/** Runs one storm; everything it made is gone afterwards. */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const ground = await prepareGround(options);
  const callers: Caller[] = [];
  try {
    options.say('the workers are up');
    callers.push(...makeCallers(ground, options));
    return await report(ground, callers, options);
  } finally {
    await Promise.all(callers.map((caller) => caller.leave()));
    ground.marks.close();
    await ground.world.dispose();
    await execute('rm', ['-rf', ground.folder]);
    await ground.fleet.release();
    await ground.ended();
  }
}
