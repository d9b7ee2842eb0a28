/** cargo in any order: profiles, commands and machines by turns, each going on from what the one before it left. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
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

function here(cwd: string, argv: readonly string[], env: Files = {}): Promise<Ended> {
  return within(world.run(argv, { cwd, env, shims: false }), argv.join(' '), 120_000);
}

async function there(
  cwd: string,
  argv: readonly string[],
  env: Files = {},
): Promise<{ readonly ended: Ended; readonly row: HistoryRow }> {
  const run = world.run(argv, { cwd, env: { RCH_FORCE_REMOTE: '1', ...env } });
  const ended = await within(run, argv.join(' '), 120_000);
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
      await there(folder, ['cargo', 'build', ...profile]);
      write(folder, { 'src/lib.rs': `// ${round} ${profile.join('')}\n` });
      expect((await here(folder, ['cargo', 'build', ...profile])).code).toBe(0);
    }
    // It gets the caches, too: it may read anything.
    await there(folder, ['make', '-B']);
    const { ended } = await there(folder, ['cargo', 'build']);
    expect(words(ended)).not.toContain('Compiling');
    await there(folder, ['cargo', 'build', '--release']);
    expect(words(await here(folder, ['cargo', 'build', '--release']))).not.toContain('Compiling');
  }
}, 240_000);

it('makes a target folder elsewhere, and goes on from it', async () => {
  const folder = project();
  const env = { CARGO_TARGET_DIR: join(folder, '..', `${basename(folder)}-out`) };
  folders.push(env.CARGO_TARGET_DIR);
  await there(folder, ['cargo', 'build'], env);
  expect(words(await here(folder, ['cargo', 'build'], env))).not.toContain('Compiling');
  rmSync(env.CARGO_TARGET_DIR, { recursive: true });
  const { ended } = await there(folder, ['cargo', 'build'], env);
  expect(words(ended)).toContain('Compiling');
  expect(words(await here(folder, ['cargo', 'build'], env))).not.toContain('Compiling');
  expect(readdirSync(folder)).not.toContain('target');
}, 240_000);

it('shows no warning again that is mended, though it was first built here and then on the worker', async () => {
  const folder = project({ 'src/main.rs': 'fn main() { let x = 1; }\n' });
  expect(words(await here(folder, ['cargo', 'build']))).toContain('unused variable');
  write(folder, { 'src/main.rs': 'fn main() {}\n' });
  const { ended } = await there(folder, ['cargo', 'build']);
  expect(words(ended)).toContain('Compiling');
  for (const again of [
    await here(folder, ['cargo', 'build']),
    (await there(folder, ['cargo', 'build'])).ended,
  ])
    expect(words(again)).toMatch(/^ +Finished .*\n$/);
  // What is still to be said is said again.
  write(folder, { 'src/main.rs': 'fn main() { let y = 1; }\n' });
  expect(words((await there(folder, ['cargo', 'build'])).ended)).toContain('`y`');
  expect(words(await here(folder, ['cargo', 'build']))).toContain('`y`');
}, 240_000);

/** The caches of debug builds that the worker has, in its copies of all projects. */
function cachesOnWorker(): string[] {
  const trees = join(world.home, '.cache', 'rch', 'embedded', 'trees');
  return readdirSync(trees, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('/t/target/debug/incremental'))
    .map((name) => join(trees, name));
}

it('keeps what rustc keeps on the worker from build to build, until the target folder is removed here', async () => {
  const folder = project();
  await there(folder, ['cargo', 'build', '--release']);
  const others = cachesOnWorker();
  await there(folder, ['cargo', 'build']);
  const [cache = '', ...more] = cachesOnWorker().filter((path) => !others.includes(path));
  expect(more).toEqual([]);
  const mark = join(cache, 'mark');
  writeFileSync(mark, '');
  write(folder, { 'src/main.rs': 'fn main() { /* again */ }\n' });
  await there(folder, ['cargo', 'build']);
  expect(existsSync(mark)).toBe(true);
  for (const argv of [
    ['rm', '-rf', 'target'],
    ['cargo', 'clean'],
  ]) {
    expect((await here(folder, argv)).code).toBe(0);
    for (const profile of [[], ['--release']])
      expect(words((await there(folder, ['cargo', 'build', ...profile])).ended)).toContain(
        'Compiling',
      );
    expect(existsSync(mark)).toBe(false);
    expect(existsSync(cache)).toBe(true);
    writeFileSync(mark, '');
  }
  expect(words(await here(folder, ['cargo', 'build']))).not.toContain('Compiling');
}, 240_000);
