/** How long it takes to choose among many workers, once a command is planned. */
import { select, type Contender, type Wish } from '../../daemon/select/select.ts';
import { machineFacts } from '../../src/facts/machine.ts';
import type { AgentFacts } from '../../src/protocol/facts.ts';
import { ms, percentile, type Line } from './measure.ts';

const WORKERS = 64;
const ROUNDS = 500;
const GOAL = 10;

/** A worker that is this machine. */
function contender(id: string, facts: AgentFacts): Contender {
  return {
    id,
    priority: 100,
    state: {
      ...{ kind: 'connected', since: 0, facts, factsAt: 0, freeBytes: 1e12 },
      ...{ slots: { total: 32, used: 0, own: 0 }, clockOffset: 0n, roundTrip: 1 },
      ...{ load: 0, clockSet: undefined, silentMs: 0 },
    },
    health: { kind: 'healthy' },
    ownSlots: 0,
    probed: new Set(['make']),
    speed: 100,
    prospect: { missing: 1, thereMs: undefined },
  };
}

/** What a make asks for: every package that is installed here in the same version. */
async function wishOf(): Promise<{ wish: Wish; facts: AgentFacts }> {
  const local = await machineFacts(['make'], { path: process.env['PATH'] ?? '/usr/bin:/bin' });
  const facts: AgentFacts = {
    ...local,
    ...{ user: 'builder', uid: 2000, folder: '/home/builder', node: process.version, agent: '' },
    ...{ sandbox: { method: 'namespaces', mend: '' }, roots: {} },
    ...{ totalSlots: 32, usedSlots: 0, ownSlots: 0 },
  };
  const requirements = Object.keys(local.packages).map((name) => ({
    ...({ kind: 'package', exact: 'version', why: 'it runs anything' } as const),
    name,
  }));
  const wish: Wish = {
    match: { requirements: [{ kind: 'arch' }, { kind: 'libc' }, ...requirements], local },
    ...{ slots: 8, taken: new Set<string>(), returnMs: 0, worker: undefined, workers: undefined },
    allowed: undefined,
    project: { allowed: undefined, blocked: [], preferred: undefined, minSpeed: undefined },
    weights: { speed: 0.35, slots: 0.25, affinity: 0.25, cost: 0.15 },
    ...{ hereMs: 10_000, tried: new Map<string, string>(), network: true, outputsKnown: false },
  };
  return { wish, facts };
}

export async function selection(): Promise<Line[]> {
  const { wish, facts } = await wishOf();
  const took = (count: number): number[] => {
    const workers = Array.from({ length: count }, (_, at) =>
      // Each worker told its facts by itself.
      contender(`w${at}`, { ...facts, packages: { ...facts.packages } }),
    );
    return Array.from({ length: ROUNDS }, () => {
      const begun = performance.now();
      if (select(workers, wish).kind !== 'chosen') throw new Error('nobody was chosen');
      return performance.now() - begun;
    });
  };
  const one = percentile(took(1), 0.99);
  const many = percentile(took(WORKERS), 0.99);
  const packages = Object.keys(facts.packages).length;
  return [
    {
      bench: 'selection',
      what: `${WORKERS} workers, ${packages} packages equal, against 1 worker, p99`,
      measured: ms(many),
      baseline: ms(one),
      ratio: many / one,
      goal: `${GOAL} ms`,
      met: many <= GOAL,
    },
  ];
}
