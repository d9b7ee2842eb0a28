/** cargo in any order: profiles, commands and machines by turns, each going on from what the one before it left. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { World, type Ended, type HistoryRow } from '../rig/world.ts';
import { write, type Files } from './projects.ts';
import { within, words } from './trouble.ts';

let world: World;
const folders: string[] = [];

beforeAll(async () => {
  world = await World.create('[[workers]]\nid = "here"\ntransport = "embedded"\ntotal_slots = 4\n');
  await world.start();
}, 120_000);
afterAll(async () => {
  await world.dispose();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const crate: Files = {
  'Cargo.toml': '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n',
  'Cargo.lock': 'version = 4\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n',
  'src/main.rs': 'fn main() {}\n',
};

function project(files: Files = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'rch-cargo-'));
  folders.push(folder);
  write(folder, { ...crate, ...files });
  return folder;
}

function here(cwd: string, ...argv: string[]): Promise<Ended> {
  return within(world.run(argv, { cwd, shims: false }), argv.join(' '), 120_000);
}

async function there(
  cwd: string,
  ...argv: string[]
): Promise<{ readonly ended: Ended; readonly row: HistoryRow }> {
  const env = { RCH_FORCE_REMOTE: '1' };
  const ended = await within(world.run(argv, { cwd, env }), argv.join(' '), 120_000);
  const [row] = await world.history(1);
  if (row === undefined) throw new Error('the daemon has no history');
  expect(row, `${argv.join(' ')}: ${row.reason}`).toMatchObject({ decision: 'remote' });
  return { ended, row };
}

it('goes to the worker whatever other profiles left here in caches that both sides have', async () => {
  const folder = project({
    Makefile: 'x: x.c\n\tcc x.c -o x\n',
    'x.c': 'int main(void) { return 0; }\n',
  });
  for (const round of [1, 2]) {
    for (const profile of [['--release'], []]) {
      write(folder, { 'src/main.rs': `fn main() {} // ${round} ${profile.join('')}\n` });
      await there(folder, 'cargo', 'build', ...profile);
      write(folder, { 'src/lib.rs': `// ${round} ${profile.join('')}\n` });
      expect((await here(folder, 'cargo', 'build', ...profile)).code).toBe(0);
    }
    // It gets the caches, too: it may read anything.
    await there(folder, 'make', '-B');
    const { ended } = await there(folder, 'cargo', 'build');
    expect(words(ended)).not.toContain('Compiling');
    await there(folder, 'cargo', 'build', '--release');
    expect(words(await here(folder, 'cargo', 'build', '--release'))).not.toContain('Compiling');
  }
}, 240_000);
