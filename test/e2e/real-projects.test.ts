/** Real projects from the registries, built on a worker that has a C toolchain and nothing else. */
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet, noFleet } from '../rig/fleet.ts';
import { debianSource, sourceCache } from '../rig/sources.ts';
import { differences } from '../rig/tree-snapshot.ts';
import { World, type Ended } from '../rig/world.ts';
import { type Files, write } from './projects.ts';
import {
  cargoCaches,
  expectSame,
  expectSameNinja,
  twins,
  withoutTimes,
  type Twin,
  type TwinOptions,
} from './twins.ts';

let fleet: Fleet;
let world: World;
let base: string;

/** What a job says when there was nothing to do, on either stream. */
type Idle = (ended: Ended) => boolean;

const words = (ended: Ended): string => ended.stdout.toString() + ended.stderr.toString();
const makeIdle: Idle = (ended) =>
  words(ended)
    .split('\n')
    .every((line) =>
      /^$|^make.*(Nothing to be done|is up to date|(Entering|Leaving) directory)/.test(line),
    );
const ninjaIdle: Idle = (ended) => /no work to do/.test(words(ended));
const cargoIdle: Idle = (ended) =>
  /Fresh/.test(words(ended)) && !/Compiling|Dirty|Running/.test(words(ended));

async function here(folder: string, ...argv: string[]): Promise<Ended> {
  const ended = await world.run(argv, { cwd: folder, shims: false });
  expect(ended.code, words(ended)).toBe(0);
  return ended;
}

/** Law 4, both ways: idle here after the remote build; idle there after an edit that was built here. */
async function idleBothWays(
  folder: string,
  argv: readonly string[],
  edit: { readonly file: string; readonly text: string; readonly idle: Idle; readonly env?: Files },
): Promise<void> {
  const local = { cwd: folder, env: { ...edit.env, RCH_BYPASS: '1' } };
  const again = await world.run(argv, local);
  expect(edit.idle(again), `here after the worker: ${words(again)}`).toBe(true);
  appendFileSync(join(folder, edit.file), edit.text);
  const built = await world.run(argv, local);
  expect(built.code, words(built)).toBe(0);
  expect(edit.idle(built), `an edit was not seen: ${words(built)}`).toBe(false);
  const there = await world.run(argv, {
    cwd: folder,
    env: { ...edit.env, RCH_FORCE_REMOTE: '1' },
  });
  const [row] = await world.history(1);
  expect(row, row?.reason).toMatchObject({ decision: 'remote', worker: 'worker1' });
  expect(edit.idle(there), `there after an edit built here: ${words(there)}`).toBe(true);
}

/** A fresh copy of a source package in the folder. */
async function copyOf(name: string, folder: string): Promise<void> {
  cpSync(await debianSource(name), folder, {
    recursive: true,
    preserveTimestamps: true,
    verbatimSymlinks: true,
  });
}

/** As expectSame, where several jobs write their lines in any order. */
function expectSameLines(twin: Twin, options: TwinOptions): void {
  const sorted = (bytes: Buffer): string[] => withoutTimes(bytes).split('\n').sort();
  expect(twin.row, twin.row.reason).toMatchObject({ decision: 'remote', worker: 'worker1' });
  expect(sorted(twin.remote.stdout)).toEqual(sorted(twin.local.stdout));
  expect(sorted(twin.remote.stderr)).toEqual(sorted(twin.local.stderr));
  expect([twin.remote.code, twin.remote.signal]).toEqual([twin.local.code, twin.local.signal]);
  expect(differences(twin.localTree, twin.remoteTree, options.sameContent)).toEqual([]);
}

/** What a configuration run leaves that differs between any two of them. */
const configured = (path: string): boolean =>
  !/CMakeFiles\/(CMake(Output|Error|ConfigureLog)|pkgRedirects|\d)|CMakeCache|\.ninja_(log|deps)$|a\.out$|CompilerId|meson-(logs|private|info)\//.test(
    path,
  );

describe.skipIf(noFleet !== undefined)('real projects on a worker', { tags: 'decisive' }, () => {
  beforeAll(async () => {
    fleet = await Fleet.up('real', 1);
    world = await World.create(fleet.workersToml());
    world.writeConfig('known_hosts', fleet.knownHosts());
    base = mkdtempSync(join(tmpdir(), 'rch-real-'));
    await world.start();
  }, 900_000);

  afterAll(async () => {
    await world.dispose();
    await fleet.release();
    rmSync(base, { recursive: true, force: true });
  });

  it('builds lua by make', async () => {
    const folder = join(base, 'lua');
    const argv = [
      'make',
      '-C',
      'src',
      'all',
      'SYSCFLAGS=-DLUA_USE_POSIX -DLUA_USE_DLOPEN',
      'SYSLIBS=-Wl,-E -ldl',
      'MYCFLAGS=-O0',
    ];
    const options: TwinOptions = { folder, argv, lay: () => copyOf('lua5.4', folder) };
    expectSame(await twins(world, options), options);
    await idleBothWays(folder, argv, {
      file: 'src/lvm.c',
      text: '/* edited */\n',
      idle: makeIdle,
    });
    const said = await here(folder, join(folder, 'src', 'lua'), '-e', 'print(6 * 7)');
    expect(said.stdout.toString()).toBe('42\n');
  });

  it('builds zlib by configure and make', async () => {
    const folder = join(base, 'zlib');
    const argv = ['make', '-j2'];
    const options: TwinOptions = {
      folder,
      argv,
      lay: async () => {
        await copyOf('zlib', folder);
        await here(folder, 'env', 'CFLAGS=-O0', './configure');
      },
      sameContent: (path) => path !== 'configure.log',
    };
    expectSameLines(await twins(world, options), options);
    await idleBothWays(folder, argv, {
      file: 'inflate.c',
      text: '/* edited */\n',
      idle: makeIdle,
    });
  });

  it('builds cJSON, configured by CMake, by ninja', async () => {
    const folder = join(base, 'cjson');
    const argv = ['cmake', '--build', 'build'];
    const options: TwinOptions = {
      folder,
      argv,
      lay: async () => {
        await copyOf('cjson', folder);
        const flags = ['-DENABLE_CJSON_UTILS=On', '-DCMAKE_BUILD_TYPE=Debug'];
        await here(folder, 'cmake', '-G', 'Ninja', '-B', 'build', ...flags);
      },
      sameContent: configured,
    };
    expectSameNinja(await twins(world, options), options);
    await idleBothWays(folder, argv, { file: 'cJSON.c', text: '/* edited */\n', idle: ninjaIdle });
  });

  it('builds pkgconf, configured by Meson', async () => {
    const folder = join(base, 'pkgconf');
    const argv = ['meson', 'compile', '-C', 'build'];
    const options: TwinOptions = {
      folder,
      argv,
      lay: async () => {
        await copyOf('pkgconf', folder);
        // Where ccache or sccache is installed, Meson puts it before a compiler that nobody named.
        await here(folder, 'env', 'CC=cc', 'meson', 'setup', 'build', '-Dtests=false');
      },
      sameContent: configured,
    };
    expectSameNinja(await twins(world, options), options);
    await idleBothWays(folder, ['ninja', '-C', 'build'], {
      file: 'libpkgconf/pkg.c',
      text: '/* edited */\n',
      idle: ninjaIdle,
    });
  });

  it('builds a Rust workspace of more than fifty crates, and cargo finds all of them fresh', async () => {
    const folder = join(base, 'rust');
    const cargoHome = join(sourceCache, 'cargo');
    mkdirSync(cargoHome, { recursive: true });
    // Incremental compilation alone makes other bytes of the same sources each time, here as there.
    const env = {
      ...{ CARGO_HOME: cargoHome, CARGO_INCREMENTAL: '0' },
      // Paths are in it as in the whole, in less time.
      CARGO_PROFILE_DEV_DEBUG: 'line-tables-only',
    };
    const argv = ['cargo', 'build', '--workspace'];
    let lock: Buffer | undefined;
    const options: TwinOptions = {
      folder,
      argv,
      env,
      lay: async () => {
        write(folder, rustWorkspace);
        if (lock !== undefined) write(folder, { 'Cargo.lock': lock.toString() });
        const fetched = await world.run(['cargo', 'fetch'], { cwd: folder, shims: false, env });
        expect(fetched.code, words(fetched)).toBe(0);
        lock = readFileSync(join(folder, 'Cargo.lock'));
      },
      leaveOut: cargoCaches,
      sameContent: (path) =>
        !/\.rustc_info\.json$|\.fingerprint\/.*\/(dep-|invoked|.*\.json$)|invoked\.timestamp$/.test(
          path,
        ),
    };
    const twin = await twins(world, options);
    expect(lock?.toString().match(/^name = /gm)?.length).toBeGreaterThanOrEqual(50);
    expectSameLines(twin, options);
    await idleBothWays(folder, [...argv, '-v'], {
      file: 'tool/src/main.rs',
      text: '// edited\n',
      idle: cargoIdle,
      env,
    });
    const said = await here(
      folder,
      join(folder, 'target', 'debug', 'tool'),
      '--times',
      '2',
      'a1b22',
    );
    expect(said.stdout.toString()).toBe('{"digits":["1","22"],"times":2}\n');
  });

  it('fetches crates here that a worker without internet lacks', async () => {
    const folder = join(base, 'fetching');
    const cargoHome = join(base, 'empty-cargo-home');
    const env = { CARGO_HOME: cargoHome };
    write(folder, {
      'Cargo.toml':
        '[package]\nname = "one"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nitoa = "1"\n',
      'src/main.rs': 'fn main() { println!("{}", itoa::Buffer::new().format(42)); }\n',
    });
    const ended = await world.run(['cargo', 'build'], {
      cwd: folder,
      env: { ...env, RCH_FORCE_REMOTE: '1' },
    });
    expect(ended.code, words(ended)).toBe(0);
    const [row] = await world.history(1);
    expect(row, row?.reason).toMatchObject({ decision: 'remote', worker: 'worker1' });
    expect(words(ended)).toMatch(/Locking|Updating/);
    expect(readdirSync(join(cargoHome, 'registry', 'cache'))).toHaveLength(1);
    const again = await world.run(['cargo', 'build', '-v', '--locked', '--offline'], {
      cwd: folder,
      env: { ...env, RCH_BYPASS: '1' },
    });
    expect(cargoIdle(again), words(again)).toBe(true);
  });
});

/** Crates with procedural macros, build scripts, one of which compiles C, and features. */
const rustWorkspace: Files = {
  'Cargo.toml':
    '[workspace]\nmembers = ["tool", "core"]\nresolver = "2"\n[profile.dev]\ndebug = 0\n',
  'tool/Cargo.toml': `[package]
name = "tool"
version = "0.1.0"
edition = "2021"
[dependencies]
core-part = { path = "../core" }
pico-args = "0.5"
serde_json = "1"
anyhow = "1"
`,
  'tool/src/main.rs': `fn main() -> anyhow::Result<()> {
    let mut words = pico_args::Arguments::from_env();
    let times: u32 = words.opt_value_from_str("--times")?.unwrap_or(1);
    let text: String = words.free_from_str()?;
    println!("{}", serde_json::to_string(&core_part::look(&text, times))?);
    Ok(())
}
`,
  'core/Cargo.toml': `[package]
name = "core-part"
version = "0.1.0"
edition = "2021"
[dependencies]
serde = { version = "1", features = ["derive"] }
regex-lite = "0.1"
tempfile = "3"
chrono = "0.4"
libz-sys = { version = "1", default-features = false, features = ["static"] }
`,
  'core/src/lib.rs': `#[derive(serde::Serialize)]
pub struct Found { digits: Vec<String>, times: u32 }
pub fn look(text: &str, times: u32) -> Found {
    assert!(unsafe { libz_sys::zlibCompileFlags() } != 0);
    let digits = regex_lite::Regex::new(r"\\d+").unwrap();
    Found { digits: digits.find_iter(text).map(|each| each.as_str().to_owned()).collect(), times }
}
`,
};
