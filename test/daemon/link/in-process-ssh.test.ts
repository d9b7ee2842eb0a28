/**
 * The whole way over ssh to a server in this process: what a machine without root can test of it. The fleet of
 * test/e2e has real servers.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, write } from '../../e2e/projects.ts';
import { SshServer } from '../../rig/ssh-server.ts';
import { World, type Ended } from '../../rig/world.ts';

let server: SshServer;
let world: World;
let folder: string;

beforeAll(async () => {
  server = await SshServer.listen();
  world = await World.create(server.workersToml('near'));
  world.writeConfig('known_hosts', server.knownHosts());
  folder = mkdtempSync(join(tmpdir(), 'rch-near-'));
  write(folder, makeProject);
  await world.start();
});
afterAll(async () => {
  await world.dispose();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const make = (...more: readonly string[]): Promise<Ended> =>
  world.run(['make', ...more], { cwd: folder, env: { RCH_FORCE_REMOTE: '1' } });

it('is built on the worker, and make has nothing to do here afterwards', async () => {
  await world.rch(['workers', 'probe', 'near']);
  const built = await make();
  expect(built.stderr.toString()).toBe('');
  expect(built.code).toBe(0);
  expect((await world.history(1))[0]).toMatchObject({ decision: 'remote', worker: 'near' });
  const again = await world.run(['make', '-q'], { cwd: folder, shims: false });
  expect(again.code).toBe(0);
  expect(readFileSync(join(folder, 'hello')).subarray(1, 4).toString()).toBe('ELF');
});

it('ends as the tool ends when that fails', async () => {
  const here = await world.run(['make', '-B', 'CC=false'], { cwd: folder, shims: false });
  const there = await make('-B', 'CC=false');
  expect(there).toEqual(here);
});

it('a key that is not the known one is refused', async () => {
  const other = await World.create(server.workersToml('near'));
  const stranger = await SshServer.listen();
  try {
    const entry = stranger.knownHosts().replace(String(stranger.port), String(server.port));
    other.writeConfig('known_hosts', entry);
    await other.start();
    await expect(other.rch(['workers', 'probe', 'near'])).rejects.toThrow(/changed|SHA256/);
  } finally {
    await stranger.close();
    await other.dispose();
  }
});
