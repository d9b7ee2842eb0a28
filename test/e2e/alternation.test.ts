import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet, knownHostsOf, noFleet, Relay } from '../rig/fleet.ts';
import { World, type HistoryRow } from '../rig/world.ts';
import { Alternation, type Subject, type Tally } from './alternation.ts';
import { write, type Files } from './projects.ts';
import {
  cargoFiles,
  cargoSubject,
  makeFiles,
  makeSubject,
  ninjaFiles,
  ninjaSubject,
} from './subjects.ts';

/** Another seed, to look for what these do not find: RCH_FUZZ_SEED; more steps: RCH_FUZZ_STEPS. */
const seed = Number(process.env['RCH_FUZZ_SEED'] ?? 20_250_901);
const steps = Number(process.env['RCH_FUZZ_STEPS'] ?? 200);

type Clock = {
  readonly name: string;
  /** The worker's clock against ours, ns. */
  readonly shift: string;
  /** Of the steps. */
  readonly share: number;
  /** Far behind, its results would be older than their sources: its commands run here. */
  readonly refused?: true;
};
const clocks: readonly Clock[] = [
  { name: 'right', shift: '0', share: 0.4 },
  { name: '20 ms ahead', shift: '20000000', share: 0.2 },
  { name: '20 ms behind', shift: '-20000000', share: 0.2 },
  { name: 'an hour ahead', shift: '3600000000000', share: 0.2 },
  { name: 'an hour behind', shift: '-3600000000000', share: 0.05, refused: true },
];

const subjects: readonly { readonly subject: Subject; readonly files: Files }[] = [
  { subject: makeSubject, files: makeFiles },
  { subject: ninjaSubject, files: ninjaFiles },
  { subject: cargoSubject, files: cargoFiles },
];

/** Where the builds of a course ran. */
function expectPlaces(clock: Clock, tally: Tally, rows: readonly HistoryRow[]): void {
  const local = rows.filter((row) => row.decision === 'local');
  const remote = rows.length - local.length;
  if (clock.refused === true) {
    expect(remote).toBe(0);
    expect(local.length).toBe(tally.remote);
    // Of those after it another reason may be told: that it turned several away.
    expect(rows.at(-1)?.reason).toMatch(/clock/);
    return;
  }
  const why = local.map((row) => row.reason).join('\n');
  expect(remote, why).toBeGreaterThanOrEqual(tally.remote);
  // Where the connection ended before the tool began, it ran here.
  expect(rows.length, why).toBe(tally.remote + tally.cut);
}

describe.skipIf(noFleet !== undefined)(
  'local and remote builds in any order',
  { tags: 'decisive' },
  () => {
    let fleet: Fleet;
    let relay: Relay;
    let world: World;
    let base: string;
    /** Steps in which results were to be cut on their way, and were. */
    let [cut, cuts] = [0, 0];

    beforeAll(async () => {
      fleet = await Fleet.up('alternation', 1);
      relay = await Relay.open(fleet.worker(0));
      base = mkdtempSync(join(tmpdir(), 'rch-alternation-'));
      world = await World.create('');
      world.writeConfig('known_hosts', knownHostsOf(fleet.worker(0), `[127.0.0.1]:${relay.port}`));
    });

    afterAll(async () => {
      await world.dispose();
      await relay.close();
      await fleet.release();
      rmSync(base, { recursive: true, force: true });
    });

    for (const [at, clock] of clocks.entries()) {
      describe(`with the worker's clock ${clock.name}`, () => {
        beforeAll(async () => {
          const text = fleet.workersToml(() => ({ host: '127.0.0.1', port: relay.port }));
          world.writeConfig(
            'workers.toml',
            text.replace(/^id = /m, `clock_shift_ns = "${clock.shift}"\nid = `),
          );
          await world.rch(['daemon', 'restart']);
        });

        const right =
          clock.refused === true
            ? (name: string) => `builds ${name} here, and right`
            : (name: string) => `never leaves ${name} wrong or with needless work`;
        for (const { subject, files } of subjects) {
          it(right(subject.name), async () => {
            // A daemon that knows nothing yet of commands that were turned away.
            if (clock.refused === true) await world.rch(['daemon', 'restart']);
            const folder = join(base, clock.name.replaceAll(' ', '-'), subject.name);
            mkdirSync(folder, { recursive: true });
            write(folder, files);
            const run = new Alternation(world, subject, folder, {
              // Each clock has a course of its own.
              seed: seed * 10 + at,
              relay: clock.refused === true ? undefined : relay,
            });
            const tally = await run.run(Math.ceil(steps * clock.share));
            expect(tally.problems, `RCH_FUZZ_SEED=${seed}`).toEqual([]);
            const rows = (await world.history(2000)).filter((row) => row.cwd === folder);
            expectPlaces(clock, tally, rows);
            cut += tally.cut;
            cuts += tally.cuts;
          });
        }
      });
    }

    it('has cut results on their way', () => {
      if (cut > 2) expect(cuts).toBeGreaterThan(0);
    });
  },
);
