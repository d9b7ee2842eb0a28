import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet, noFleet, type FleetWorker } from '../rig/fleet.ts';
import { World } from '../rig/world.ts';
import { cargoProject, cmakeProject, makeProject, write } from './projects.ts';
import { cargoCaches, expectSame, expectSameNinja, twins, type TwinOptions } from './twins.ts';

let fleet: Fleet;
let world: World;
let base: string;

function options(
  name: string,
  files: Readonly<Record<string, string>>,
  argv: readonly string[],
): TwinOptions {
  const folder = join(base, name);
  return {
    folder,
    argv,
    lay: () => {
      write(folder, files);
    },
    leaveOut: cargoCaches,
    // With incremental compilation rustc names objects at random; without it a tree at one path gives one result.
    env: { CARGO_INCREMENTAL: '0' },
    // Fingerprints and ninja's logs hold times, which differ between any two checkouts; law 4 speaks for them.
    sameContent: (path) => !/\.rustc_info\.json$|\.fingerprint\/|\.ninja_(log|deps)$/.test(path),
  };
}

/** Law 4: the other side finds nothing to do. */
async function idleHere(folder: string, argv: readonly string[], sign: RegExp): Promise<void> {
  const again = await world.run(argv, { cwd: folder, env: { RCH_BYPASS: '1' } });
  expect(again.stdout.toString() + again.stderr.toString()).toMatch(sign);
}

/** Gives a worker this machine's bubblewrap, and has its agent do without namespaces, as where AppArmor forbids them. */
function leaveBubblewrap(worker: FleetWorker): void {
  cpSync('/usr/bin/bwrap', join(worker.root, 'usr/bin/bwrap'));
  const node = '/usr/local/lib/node-itself';
  cpSync(process.execPath, join(worker.root, node));
  writeFileSync(
    join(worker.root, 'usr/local/bin/node'),
    '#!/bin/sh\n' +
      'for word; do [ "$word" != serve ] || { set -- "$@" --without namespaces; break; }; done\n' +
      `exec ${node} "$@"\n`,
    { mode: 0o755 },
  );
}

async function begin(name: string): Promise<void> {
  fleet = await Fleet.up(name, 1);
  world = await World.create(fleet.workersToml());
  world.writeConfig('known_hosts', fleet.knownHosts());
  base = mkdtempSync(join(tmpdir(), 'rch-e2e-'));
}

async function end(): Promise<void> {
  await world.dispose();
  await fleet.release();
  rmSync(base, { recursive: true, force: true });
}

async function buildsByMake(): Promise<void> {
  const run = options('make', makeProject, ['make']);
  expectSame(await twins(world, run), run);
  await idleHere(run.folder, ['make', '-q'], /^$/);
}

async function failsAlike(): Promise<void> {
  const run = options(
    'broken',
    { ...makeProject, 'util.c': 'int twice(int x) { return 2 * y; }\n' },
    ['make', '-k'],
  );
  const twin = await twins(world, run);
  expectSame(twin, run);
  expect(twin.remote.code).toBe(2);
  expect(twin.remoteTree.has('main.o')).toBe(true);
}

async function buildsByCargo(): Promise<void> {
  const run = options('cargo', cargoProject, ['cargo', 'build']);
  expectSame(await twins(world, run), run);
  const again = await world.run(['cargo', 'build', '-v'], {
    cwd: run.folder,
    env: { RCH_BYPASS: '1', CARGO_INCREMENTAL: '0' },
  });
  expect(again.stderr.toString()).toMatch(/Fresh lib/);
  expect(again.stderr.toString()).toMatch(/Fresh app/);
  expect(again.stderr.toString()).not.toMatch(/Dirty|Compiling/);
}

describe.skipIf(noFleet !== undefined)(
  'the same command here and on a worker',
  { tags: 'decisive' },
  () => {
    beforeAll(async () => {
      await begin('e2e');
      await world.start();
    }, 600_000);
    afterAll(end);

    it('builds a C project by make with the same streams, end and files', buildsByMake);

    it('fails alike, and returns what was made before the failure', failsAlike);

    it(
      'builds a cargo workspace with a build script, and cargo here finds it fresh',
      buildsByCargo,
    );

    it('runs cargo test there', async () => {
      const run = options('cargo-test', cargoProject, ['cargo', 'test', '-p', 'lib']);
      const twin = await twins(world, run);
      expectSame(twin, run);
      expect(twin.remote.stdout.toString()).toMatch(/doubles/);
    });

    it('builds there and runs here for cargo run', async () => {
      const run = options('cargo-run', cargoProject, ['cargo', 'run', '--', 'x']);
      const twin = await twins(world, run);
      expectSame(twin, run);
      expect(twin.remote.code).toBe(7);
      expect(twin.remote.stdout.toString()).toBe('one 42\n');
    });

    it('builds what CMake configured here by ninja, and ninja here has no work', async () => {
      const folder = join(base, 'cmake');
      const run: TwinOptions = {
        ...options('cmake', cmakeProject, ['cmake', '--build', 'build']),
        lay: async () => {
          write(folder, cmakeProject);
          const configured = await world.run(['cmake', '-G', 'Ninja', '-B', 'build'], {
            cwd: folder,
            shims: false,
          });
          expect(configured.code, configured.stderr.toString()).toBe(0);
        },
        sameContent: (path) =>
          !/CMakeFiles\/(CMakeOutput|CMakeConfigureLog|\d)|CMakeCache|\.ninja_|a\.out|CompilerId/.test(
            path,
          ),
      };
      expectSameNinja(await twins(world, run), run);
      await idleHere(run.folder, ['ninja', '-C', 'build'], /no work to do/);
    });

    it('compiles and links by gcc alone', async () => {
      const run = options(
        'gcc',
        { 'x.c': '#include <stdio.h>\nint main(void){puts("x");return 0;}\n' },
        ['gcc', '-O2', '-g', 'x.c', '-o', 'x'],
      );
      expectSame(await twins(world, run), run);
    });
  },
);

describe.skipIf(noFleet !== undefined)(
  'the same command here and on a worker that has bubblewrap in place of namespaces',
  { tags: 'decisive' },
  () => {
    beforeAll(async () => {
      await begin('bubble');
      leaveBubblewrap(fleet.worker(0));
      await world.start();
    }, 600_000);
    afterAll(end);

    it('builds a C project by make with the same streams, end and files', async () => {
      await buildsByMake();
      expect(await world.rch(['workers', 'probe', 'worker1'])).toMatch(/sandbox +bubblewrap/);
    });

    it('fails alike, and returns what was made before the failure', failsAlike);

    it(
      'builds a cargo workspace with a build script, and cargo here finds it fresh',
      buildsByCargo,
    );
  },
);
