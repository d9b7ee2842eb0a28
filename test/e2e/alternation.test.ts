import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet, noFleet } from '../rig/fleet.ts';
import { World } from '../rig/world.ts';
import { Alternation, type Subject } from './alternation.ts';
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

/** A worker's clock against ours, ns. One far behind is refused: its results would be older than its sources. */
const clocks: readonly { readonly name: string; readonly shift: string; readonly share: number }[] =
  [
    { name: 'right', shift: '0', share: 0.4 },
    { name: '20 ms ahead', shift: '20000000', share: 0.2 },
    { name: '20 ms behind', shift: '-20000000', share: 0.2 },
    { name: 'an hour ahead', shift: '3600000000000', share: 0.2 },
  ];

const subjects: readonly { readonly subject: Subject; readonly files: Files }[] = [
  { subject: makeSubject, files: makeFiles },
  { subject: ninjaSubject, files: ninjaFiles },
  { subject: cargoSubject, files: cargoFiles },
];

describe.skipIf(noFleet !== undefined)('local and remote builds in any order', () => {
  let fleet: Fleet;
  let world: World;
  let base: string;

  beforeAll(async () => {
    fleet = await Fleet.up('alternation', 1);
    base = mkdtempSync(join(tmpdir(), 'rch-alternation-'));
    world = await World.create(fleet.workersToml());
    world.writeConfig('known_hosts', fleet.knownHosts());
  });

  afterAll(async () => {
    await world.dispose();
    await fleet.release();
    rmSync(base, { recursive: true, force: true });
  });

  for (const clock of clocks) {
    describe(`with the worker's clock ${clock.name}`, () => {
      beforeAll(async () => {
        const text = fleet.workersToml();
        world.writeConfig(
          'workers.toml',
          text.replace(/^id = /m, `clock_shift_ns = "${clock.shift}"\nid = `),
        );
        await world.rch(['daemon', 'restart']);
      });

      for (const { subject, files } of subjects) {
        it(`never leaves ${subject.name} wrong or with needless work`, async () => {
          const folder = join(base, clock.name.replaceAll(' ', '-'), subject.name);
          mkdirSync(folder, { recursive: true });
          write(folder, files);
          const run = new Alternation(world, subject, folder, seed);
          const tally = await run.run(Math.ceil(steps * clock.share));
          expect(tally.problems, `seed ${seed}`).toEqual([]);
          const rows = (await world.history(2000)).filter((row) => row.cwd === folder);
          const remote = rows.filter((row) => row.decision === 'remote').length;
          expect(remote, rows.find((row) => row.decision === 'local')?.reason ?? '').toBe(
            tally.remote,
          );
        });
      }
    });
  }
});
