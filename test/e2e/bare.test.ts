/** A minimal Debian with sshd alone: it is reached and probed, takes no job, and says why. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../src/base/result.ts';
import { Fleet, noFleet } from '../rig/fleet.ts';
import { World } from '../rig/world.ts';
import { cargoProject, cmakeProject, makeProject, write, type Files } from './projects.ts';
import { within, words } from './trouble.ts';

let fleet: Fleet;
let world: World;
let base: string;

describe.skipIf(noFleet !== undefined)('a bare worker', () => {
  beforeAll(async () => {
    fleet = await Fleet.up('bare', 0, { bare: 1 });
    world = await World.create(fleet.workersToml());
    world.writeConfig('known_hosts', fleet.knownHosts());
    base = mkdtempSync(join(tmpdir(), 'rch-bare-'));
    await world.start();
  }, 900_000);
  afterAll(async () => {
    await world.dispose();
    await fleet.release();
    rmSync(base, { recursive: true, force: true });
  });

  it('is probed: what it is, and what it lacks', async () => {
    const worker = fleet.worker(0);
    expect(
      await fleet.inside(worker, 'sh', '-c', 'command -v node gcc make cargo bwrap || true'),
    ).toBe('');
    const told = await within(
      world.rch(['workers', 'probe', 'worker1', '--json']),
      'the probe',
      120_000,
    );
    const facts = JSON.parse(told) as {
      facts: { tools: { name: string }[]; user: string; hostname: string };
    };
    expect(facts.facts).toMatchObject({ user: worker.user, hostname: 'worker1' });
    const names = facts.facts.tools.map((tool) => tool.name);
    expect(names).not.toContain('gcc');
    expect(names).not.toContain('make');
    expect(names).not.toContain('node');
  });

  it('is what rch doctor names, with the command that mends it', async () => {
    const shown = await world
      .rch(['doctor', 'workers', '--json'])
      .then(() => undefined)
      .catch((thrown: unknown) => messageOf(thrown));
    const from = shown?.indexOf('{') ?? -1;
    expect(from, 'it ends with 1').toBeGreaterThan(0);
    const { checks } = JSON.parse(shown?.slice(from) ?? '{}') as {
      checks: { id: string; state: string; why: string; mend: string }[];
    };
    const by = (part: string): unknown => checks.find(({ id }) => id === `worker.worker1.${part}`);
    expect(by('reachable')).toMatchObject({ state: 'pass' });
    expect(by('host-key')).toMatchObject({ state: 'pass' });
    expect(by('tools')).toMatchObject({ state: 'warn' });
    expect(by('compile')).toMatchObject({ state: 'fail', mend: 'rch workers setup worker1' });
    expect(
      checks.filter(({ mend }) => mend.includes('rch workers setup worker1 --with')),
    ).toHaveLength(1);
  });

  it.each<[string, Files, readonly string[], RegExp]>([
    ['make', makeProject, ['make'], /the worker has no (make|cc|gcc)/],
    ['cargo', cargoProject, ['cargo', 'build'], /the worker has no (cc|gcc)|lacks/],
    [
      'gcc',
      { 'x.c': 'int main(void) { return 0; }\n' },
      ['gcc', 'x.c', '-o', 'x'],
      /the worker has no gcc/,
    ],
  ])('takes no %s, for a reason that is told', async (name, files, argv, reason) => {
    const folder = join(base, name);
    write(folder, files);
    const ended = await within(
      world.run(argv, { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } }),
      'the build',
      120_000,
    );
    expect(ended.code, words(ended)).toBe(0);
    const [row] = await world.history(1);
    expect(row).toMatchObject({ decision: 'local', worker: null });
    expect(row?.reason).toMatch(/worker1/);
    expect(row?.reason).toMatch(reason);
    expect(await world.rch(['why'])).toMatch(reason);
  });

  it('takes no build configured by CMake either', async () => {
    const folder = join(base, 'cmake');
    write(folder, cmakeProject);
    const setup = await world.run(['cmake', '-G', 'Ninja', '-B', 'build'], {
      cwd: folder,
      shims: false,
    });
    expect(setup.code, words(setup)).toBe(0);
    const ended = await world.run(['cmake', '--build', 'build'], {
      cwd: folder,
      env: { RCH_FORCE_REMOTE: '1' },
    });
    expect(ended.code, words(ended)).toBe(0);
    const [row] = await world.history(1);
    expect(row).toMatchObject({ decision: 'local', worker: null });
    expect(row?.reason).toMatch(/the worker has no (cmake|ninja|cc|gcc)/);
  });
});
