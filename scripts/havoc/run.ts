/** A whole run of chaos: lanes of builds, then the look for what was left behind. */
import { setTimeout as delay } from 'node:timers/promises';
import { Lane, Weather, type Finding, type Tally } from './lane.ts';
import { faultKinds, type FaultKind } from './faults.ts';
import type { Site } from './site.ts';

/** ms for what was told to end to be gone. */
const GRACE = 60_000;

export type ChaosOptions = {
  readonly seed: number;
  readonly builds: number;
  readonly lanes: number;
  readonly kinds?: readonly FaultKind[];
  readonly log: (text: string) => void;
};

export type Report = {
  readonly findings: readonly Finding[];
  readonly tally: Tally;
  readonly faults: Readonly<Record<string, number>>;
  /** Of the builds, those that the history says ran on a worker to their end. */
  readonly remote: number;
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

export async function chaos(site: Site, options: ChaosOptions): Promise<Report> {
  const begun = performance.now();
  const weather = new Weather();
  const { seed, builds, log } = options;
  const lanes = Array.from(
    { length: options.lanes },
    (_, number) =>
      new Lane({ site, weather, number, seed, log, kinds: options.kinds ?? faultKinds }),
  );
  const share = (at: number): number => Math.floor((builds + at) / lanes.length);
  await Promise.all(lanes.map((lane, at) => lane.run(share(at))));
  await calm(site);
  const findings = lanes.flatMap((lane) => lane.findings);
  for (const what of await leftovers(site))
    findings.push({ lane: -1, build: 0, what: `left: ${what}` });
  const rows = await site.world.history(builds);
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
    ms: performance.now() - begun,
  };
}
