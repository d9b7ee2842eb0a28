/** A whole run of chaos: lanes of builds, then the look for what was left behind. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Tally } from './judge.ts';
import { Lane, type Finding } from './lane.ts';
import { faultKinds, type FaultKind } from './plan.ts';
import type { Site } from './site.ts';
import { Weather } from './weather.ts';

/** ms for what was told to end to be gone. */
const GRACE = 150_000;

export type ChaosOptions = {
  readonly seed: number;
  readonly builds: number;
  readonly lanes: number;
  /** So many of the lanes build with cargo, the last ones. */
  readonly cargo: number;
  readonly kinds?: readonly FaultKind[];
  readonly log: (text: string) => void;
};

export type Report = {
  readonly findings: readonly Finding[];
  readonly tally: Tally;
  readonly faults: Readonly<Record<string, number>>;
  /** Of the builds, those that the history says ran on a worker to their end. */
  readonly remote: number;
  /** Of those, the ones that another's run served. */
  readonly joined: number;
  readonly ms: number;
};

type Status = {
  readonly jobs: readonly unknown[];
  readonly local: { readonly leases: readonly unknown[] };
  readonly queue: readonly unknown[];
  readonly workers: readonly { readonly id: string; readonly slots: { used: number } | null }[];
};

/** Looks until nothing is left; what is left at last, in words. */
async function leftovers(site: Site): Promise<string[]> {
  const till = performance.now() + GRACE;
  for (;;) {
    const status = JSON.parse(await site.world.rch(['status', '--json'])) as Status;
    const found = await site.leaks();
    if (status.jobs.length > 0) found.push(`${status.jobs.length} jobs of the daemon`);
    const { local, queue } = status;
    if (local.leases.length + queue.length > 0)
      found.push(`${local.leases.length} leases, ${queue.length} waiting`);
    for (const { id, slots } of status.workers) {
      if (slots === null) found.push(`${id} is not connected`);
      else if (slots.used > 0) found.push(`${slots.used} slots of ${id}`);
    }
    if (found.length === 0 || performance.now() > till) return found;
    await delay(500);
  }
}

/** Ends what faults left behind: nothing is wrong any more. */
async function calm(site: Site): Promise<void> {
  await site.fill(false);
  for (const relay of site.relays) await relay.command({ frozen: false, rate: 0, delay: 0 });
  await site.probe();
}

/** Of the builds, the last ones have a breaker that opens when a worker loses them. */
const PART_WITH_BREAKER = 0.25;

export async function chaos(site: Site, options: ChaosOptions): Promise<Report> {
  const begun = performance.now();
  const weather = new Weather();
  const { seed, builds, log, kinds = faultKinds } = options;
  const lanes = Array.from({ length: options.lanes }, (_, number) => {
    const cargo = number >= options.lanes - options.cargo;
    return new Lane({ site, weather, number, seed, log, cargo, kinds });
  });
  const all = async (steps: (share: number) => number): Promise<void> => {
    const share = (at: number): number => Math.floor((builds + at) / lanes.length);
    await Promise.all(lanes.map((lane, at) => lane.run(steps(share(at)))));
  };
  const late = (share: number): number => Math.floor(share * PART_WITH_BREAKER);
  for (const lane of lanes.slice(options.lanes - options.cargo)) await lane.warm();
  await all((share) => share - late(share));
  await site.useBreaker();
  await all(late);
  await calm(site);
  const kept = await site.fetchKept();
  const left = await leftovers(site);
  for (const lane of lanes) lane.lookBack();
  const findings = [
    ...lanes.flatMap((lane) => lane.findings),
    ...[...kept, ...left].map((what) => ({ lane: -1, build: 0, what: `left: ${what}` })),
  ];
  const rows = await site.world.history(2 * builds);
  const sum = (of: keyof Tally): number => lanes.reduce((total, { tally }) => total + tally[of], 0);
  return {
    findings,
    tally: {
      builds: sum('builds'),
      right: sum('right'),
      lost: sum('lost'),
      killed: sum('killed'),
      failed: sum('failed'),
    },
    faults: Object.fromEntries(weather.counts),
    remote: rows.filter(({ decision, exit }) => decision === 'remote' && exit === 0).length,
    joined: rows.filter(({ joined }) => joined !== undefined).length,
    ms: performance.now() - begun,
  };
}
