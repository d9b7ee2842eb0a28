import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../../../daemon/plan/types.ts';
import {
  folderWith,
  has,
  lock,
  machine,
  manifest,
  newContext,
  packageNames,
  plain,
  planned,
  planOf,
  project,
  put,
  reasonOf,
  rootPaths,
  toolNames,
} from './world.ts';

const cargo = has('cargo');
/** Everything below a folder, to see that planning changed nothing. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => `${name} ${statSync(join(folder, name)).mtimeMs}`);
}

describe.skipIf(!cargo)('cargo', () => {
  it('carries workspace, toolchain and proxies, and starts without the target folder', async () => {
    const cwd = project(plain);
    const plan = await planned('cargo build', { cwd });
    expect(plan.roots).toContainEqual({
      path: cwd,
      policy: 'project',
      skip: ['.rch'],
      only: [],
      cold: ['target'],
      filled: { mark: '.cargo-lock', cache: 'incremental', units: '.fingerprint' },
    });
    expect(plan.locks).toEqual([`${cwd}/target/debug/.cargo-lock`]);
    expect(plan.caches).toEqual([`${cwd}/target/debug/incremental`]);
    expect(plan.catchExec).toEqual([]);
    expect(toolNames(plan)).toContain('cc');
    expect(plan.first).toBeUndefined();
  });

  it('changes nothing by planning', async () => {
    const cwd = folderWith(plain);
    const before = tree(cwd);
    await planOf('cargo build', { cwd });
    expect(tree(cwd)).toEqual(before);
  });

  it('builds there and runs here', async () => {
    const cwd = project(plain);
    expect((await planned('cargo run', { cwd })).catchExec).toEqual([`${cwd}/target`]);
  });

  it('locks what cargo locks, by profile, target and target folder', async () => {
    const cwd = project(plain);
    mkdirSync(`${cwd}/out`);
    const host = `${machine.arch}-unknown-linux-gnu`;
    const of = async (line: string, env = {}) => (await planned(line, { cwd, env })).locks;
    expect(await of('cargo build --release')).toEqual([`${cwd}/target/release/.cargo-lock`]);
    expect(await of('cargo bench')).toEqual([`${cwd}/target/release/.cargo-lock`]);
    expect(await of(`cargo test --target ${host}`)).toEqual([
      `${cwd}/target/debug/.cargo-lock`,
      `${cwd}/target/${host}/debug/.cargo-lock`,
    ]);
    expect(await of('cargo check --target-dir out')).toEqual([`${cwd}/out/debug/.cargo-lock`]);
    expect(await of('cargo check', { CARGO_TARGET_DIR: 'out' })).toEqual([
      `${cwd}/out/debug/.cargo-lock`,
    ]);
  });

  it('asks for no linker when nothing that runs is built', async () => {
    const cwd = project(plain);
    expect(toolNames(await planned('cargo check', { cwd }))).toEqual([]);
  });

  it('fetches first when there is no lock file, unless the caller works offline', async () => {
    const cwd = folderWith(plain);
    const firstOf = async (line: string): Promise<unknown> =>
      (await planned(line, { cwd })).first?.argv;
    expect(await firstOf('cargo build --locked -q')).toEqual(
      expect.arrayContaining(['fetch', '-q', '--locked']),
    );
    expect(await firstOf('cargo --color always test -vv -- -q')).toEqual(
      expect.arrayContaining(['fetch', '--color', 'always', '-v', '-v', '--target']),
    );
    expect(await firstOf('cargo build')).not.toContain('-q');
    expect((await planned('cargo build', { cwd })).first?.mayFail).toBe(false);
    expect(await reasonOf('cargo build --offline', { cwd })).toContain('--offline');
    const context = newContext({ fetched: true });
    expect(await reasonOf('cargo build', { cwd, context })).toContain('cargo fetch');
  });

  it('carries path dependencies outside the workspace', async () => {
    const lib = folderWith({ 'Cargo.toml': manifest('dep'), 'src/lib.rs': '' });
    const cwd = project({
      ...plain,
      'Cargo.toml': manifest('p', `[dependencies]\ndep = { path = "${lib}" }\n`),
    });
    const plan = await planned('cargo build', { cwd });
    expect(rootPaths(plan, 'readOnly')).toContain(lib);
  });

  it("carries clippy's rules of a folder above the project, for clippy alone", async () => {
    const above = folderWith({ 'clippy.toml': 'too-many-arguments-threshold = 3\n' });
    const cwd = `${above}/p`;
    put(cwd, plain);
    lock(cwd);
    const linted = (await planned('cargo clippy', { cwd })).roots;
    expect(linted).toContainEqual(expect.objectContaining({ path: above, only: ['clippy.toml'] }));
    const built = (await planned('cargo build', { cwd })).roots;
    expect(built.map(({ path }) => path)).not.toContain(above);
  });

  it('finds members and the folder above, from a folder below, with -C and --manifest-path', async () => {
    const cwd = project({
      'Cargo.toml': '[workspace]\nmembers = ["one"]\nresolver = "2"\n',
      'one/Cargo.toml': manifest('one'),
      'one/src/lib.rs': '',
    });
    const other = folderWith({});
    expect(rootPaths(await planned('cargo build', { cwd: `${cwd}/one/src` }), 'project')).toEqual([
      cwd,
    ]);
    const plan = await planned(`cargo build --manifest-path ${cwd}/one/Cargo.toml`, { cwd: other });
    expect(rootPaths(plan, 'project')).toEqual([cwd]);
    expect(rootPaths(plan, 'readOnly')).toContain(other);
  });

  it.each([
    ['cargo build -p nothing', 'no package nothing'],
    ['cargo build --bin nothing', 'no bin target nothing'],
    ['cargo test --test nothing', 'no test target nothing'],
    ['cargo bench --bench nothing', 'no bench target nothing'],
    ['cargo run --example nothing', 'no example target nothing'],
    ['cargo build --features nothing', 'no feature nothing'],
    ['cargo build -F other/x,nothing', 'no feature nothing'],
    ['cargo build --manifest-path nothing/Cargo.toml', 'cannot read the project'],
    ['cargo +nothing build', 'nothing is not installed'],
    ['cargo build --target sparc-sun-solaris', 'sparc-sun-solaris'],
  ])('%s stays here, where the message is right', async (line, reason) => {
    expect(await reasonOf(line, { cwd: project(plain) })).toContain(reason);
  });

  it('stays here at once for a wrong name, although crates are missing: nothing is fetched for it', async () => {
    const files = {
      ...plain,
      'Cargo.toml': manifest('p', '[features]\nown = []\n[dependencies]\nrch-none = "9"\n'),
      'Cargo.lock': 'version = 3\n\n[[package]]\nname = "p"\nversion = "0.1.0"\n',
    };
    const cwd = folderWith(files);
    expect(await reasonOf('cargo build --features nothing', { cwd })).toContain(
      'no feature nothing',
    );
    expect(await reasonOf('cargo build -p nothing', { cwd })).toContain('no package nothing');
    expect((await planned('cargo build --features own', { cwd })).first?.argv).toContain('fetch');
  });

  it('stays here when the manifest cannot be read, and looks again once it is mended', async () => {
    const cwd = folderWith({ ...plain, 'Cargo.toml': '[package\n' });
    const context = newContext();
    expect(await reasonOf('cargo build', { cwd, context })).toContain('cannot read the project');
    put(cwd, plain);
    lock(cwd);
    expect((await planned('cargo build', { cwd, context })).project).toBe(cwd);
  });

  it('sees a target that was added since it looked last', async () => {
    const cwd = project(plain);
    const context = newContext();
    expect(await reasonOf('cargo run --bin two', { cwd, context })).toContain('no bin target');
    put(cwd, { 'src/bin/two.rs': 'fn main() {}\n' });
    expect((await planned('cargo run --bin two', { cwd, context })).project).toBe(cwd);
  });

  it('stays here for wrappers that live here, and for configuration with a token', async () => {
    const cwd = project(plain);
    const tools = folderWith({ sccache: '#!/bin/sh\n', wrap: '#!/bin/sh\n' });
    execFileSync('chmod', ['755', `${tools}/sccache`, `${tools}/wrap`]);
    expect(
      await reasonOf('cargo build', { cwd, env: { RUSTC_WRAPPER: `${tools}/sccache` } }),
    ).toContain('sccache');
    expect(
      await reasonOf('cargo build', { cwd, env: { RUSTC_WRAPPER: `${tools}/wrap` } }),
    ).toContain('alone');
    put(cwd, { '.cargo/config.toml': '[registries.mine]\ntoken = "x"\n' });
    expect(await reasonOf('cargo build', { cwd })).toContain('token');
  });

  it('never carries the credentials of a registry', async () => {
    const home = folderWith({
      'config.toml': '[net]\nretry = 3\n',
      'credentials.toml': '[registry]\ntoken = "x"\n',
      credentials: '[registry]\ntoken = "x"\n',
    });
    const plan = await planned('cargo build', { cwd: project(plain), env: { CARGO_HOME: home } });
    const [root] = plan.roots.filter(({ path }) => path === home);
    expect(root?.only).toContain('config.toml');
    expect(root?.only.filter((path) => path.includes('credentials'))).toEqual([]);
  });

  it('reads configuration of the folders above', async () => {
    const top = folderWith({
      '.cargo/config.toml':
        '[build]\nrustflags = ["-C", "target-cpu=native"]\n[alias]\nbb = "build --release"\n',
      'p/Cargo.toml': plain['Cargo.toml'],
      'p/src/main.rs': plain['src/main.rs'],
    });
    lock(`${top}/p`);
    const plan = await planned('cargo bb', { cwd: `${top}/p` });
    expect(plan.requirements).toContainEqual(expect.objectContaining({ kind: 'cpu' }));
    expect(plan.locks).toEqual([`${top}/p/target/release/.cargo-lock`]);
    expect(plan.roots).toContainEqual(
      expect.objectContaining({ path: `${top}/.cargo`, only: ['config.toml'] }),
    );
  });

  it('carries a target folder elsewhere that is not there yet, where the launcher can make it', async () => {
    const cwd = project(plain);
    const away = folderWith({});
    const env = { CARGO_TARGET_DIR: `${away}/new` };
    const plan = await planned('cargo build', { cwd, env });
    const root = { path: `${away}/new`, policy: 'project', cold: [''] };
    expect(plan.roots).toContainEqual(expect.objectContaining(root));
    expect(plan.locks).toEqual([`${away}/new/debug/.cargo-lock`]);
    expect(readdirSync(away)).toEqual([]);
    const deep = { CARGO_TARGET_DIR: `${away}/no/new` };
    expect(await reasonOf('cargo build', { cwd, env: deep })).toContain('the first build here');
  });

  it('looks aliases up where the command looks: by --config, and in the folder that -C names', async () => {
    const top = folderWith({
      'p/.cargo/config.toml': '[alias]\nbb = "build --release"\n',
      'p/Cargo.toml': plain['Cargo.toml'],
      'p/src/main.rs': plain['src/main.rs'],
    });
    lock(`${top}/p`);
    const locks = [`${top}/p/target/release/.cargo-lock`];
    const given = 'cargo --config alias.cc=["build","--release"] cc';
    expect((await planned(given, { cwd: `${top}/p` })).locks).toEqual(locks);
    const env = { CARGO_ALIAS_CC: 'check' };
    await expect(planned(given, { cwd: `${top}/p`, env })).rejects.toThrow('not known to only');
    await expect(planned('cargo bb', { cwd: top })).rejects.toThrow('not known to only build');
    // A stable cargo itself has no -C.
    expect(await reasonOf('cargo -C p bb', { cwd: top })).toMatch(/^planned|cargo cannot read/);
  });

  it('carries what [env] of the configuration names beside the project', async () => {
    const top = folderWith({
      '.cargo/config.toml':
        '[env]\nABOVE = { value = "inc", relative = true }\nNEAR = { value = "/etc" }\n',
      'inc/t': '',
      'near/t': '',
      'far/t': '',
      'lib/t': '',
      'p/Cargo.toml': plain['Cargo.toml'],
      'p/src/main.rs': plain['src/main.rs'],
    });
    const cwd = `${top}/p`;
    lock(cwd);
    const set = (env: string): void => {
      put(cwd, { '.cargo/config.toml': `[env]\n${env}\n` });
    };
    const beside = async (env: Record<string, string> = {}): Promise<string[]> => {
      const plan = await planned('cargo build', { cwd, env });
      const within = rootPaths(plan, 'readOnly').filter((path) => path.startsWith(top));
      return within
        .filter((path) => !path.endsWith('/.cargo'))
        .map((path) => path.slice(top.length));
    };
    set(`NEAR = { value = "../near" }\nFAR = "-L${top}/lib -L${top}/none"`);
    expect(await beside()).toEqual(['/inc', '/lib', '/near']);
    set(`NEAR = { value = "../near", relative = true }\nFAR = "${top}/far/t"`);
    expect(await beside()).toEqual(['/far', '/inc', '/near']);
    expect(await beside({ FAR: 'x', ABOVE: 'x' })).toEqual(['/near']);
    set(
      `NEAR = { value = "${top}/near", force = true }\nABOVE = { value = "x", relative = false }`,
    );
    expect(await beside({ NEAR: 'x' })).toEqual(['/near']);
    const home = process.env['HOME'] ?? '/root';
    set(
      `ABOVE = { value = "/", relative = false }\nNEAR = { value = "/usr" }\nA = "${home}"\nB = "."\nC = "${top}"\nD = "/tmp:/opt"\nE = "https://x/y"\nF = ".."\nPWD = "${top}/far"`,
    );
    expect(await beside()).toEqual([]);
    const [name] = readdirSync(home).filter((each) => statSync(join(home, each)).isFile());
    if (name === undefined) return;
    set(`A = "${home}/${name}"`);
    expect(await reasonOf('cargo build', { cwd })).toContain(`${home}/${name}`);
  });

  it('carries what flags name beside the project, but not what they have written or only name', async () => {
    const names = ['lib', 'object', 'profile', 'header', 'near', 'out', 'was'];
    const top = folderWith({
      ...Object.fromEntries(names.map((name) => [`${name}/t`, ''])),
      'p/Cargo.toml': plain['Cargo.toml'],
      'p/src/main.rs': plain['src/main.rs'],
    });
    const cwd = `${top}/p`;
    put(cwd, { '.cargo/config.toml': `[build]\nrustflags = ["-L", "native=${top}/lib"]\n` });
    lock(cwd);
    const beside = async (line: string, env: Record<string, string> = {}): Promise<string[]> =>
      rootPaths(await planned(line, { cwd, env }), 'readOnly')
        .filter((path) => path.startsWith(top))
        .map((path) => path.slice(top.length + 1));
    expect(await beside('cargo build')).toEqual(['lib']);
    expect(
      await beside('cargo build', {
        CARGO_ENCODED_RUSTFLAGS: `-Clink-arg=${top}/object/t\x1f-Cprofile-use=${top}/profile/t`,
      }),
    ).toEqual(['lib', 'object', 'profile']);
    expect(
      await beside('cargo doc', { RUSTDOCFLAGS: `--html-in-header ${top}/header/t` }),
    ).toContain('header');
    expect(await beside('cargo rustc -- -L../near')).toContain('near');
    const named = `-Cprofile-generate=${top}/out --remap-path-prefix=${top}/was=/x`;
    expect(await beside('cargo build', { RUSTFLAGS: named })).toEqual(['lib']);
  });

  it.skipIf(machine.packages['zlib1g-dev'] === undefined)(
    'asks for the packages a build script probes for',
    async () => {
      const cwd = project({
        ...plain,
        'Cargo.toml': manifest('p', 'links = "z"\n'),
        'build.rs':
          'fn main() { std::process::Command::new("perl"); probe("zlib"); println!("cargo:rustc-link-lib=z"); }\n',
      });
      expect(packageNames(await planned('cargo build', { cwd }))).toContain('zlib1g-dev');
    },
  );

  it.skipIf(!has('rustfmt'))(
    'asks no worker for what goes along with the toolchain, as rustfmt does',
    async () => {
      const called = '#[test]\nfn t() { std::process::Command::new("rustfmt"); }\n';
      const cwd = project({ ...plain, 'build.rs': 'fn main() {}\n', 'tests/t.rs': called });
      expect(toolNames(await planned('cargo test', { cwd }))).not.toContain('rustfmt');
    },
  );

  it.skipIf(!has('clang'))('asks for the C compilers that build scripts are told of', async () => {
    const cwd = project({ ...plain, 'build.rs': 'fn main() {}\n' });
    const context = newContext();
    const of = async (env: Record<string, string>): Promise<string[]> =>
      toolNames(await planned('cargo build', { cwd, env, context }));
    expect(await of({ CC: 'clang -O1' })).toContain('clang');
    expect(await of({ [`CXX_${machine.arch}-unknown-linux-gnu`]: 'clang++' })).toContain('clang++');
    expect(await of({ CC_sparc_sun_solaris: 'clang' })).not.toContain('clang');
    expect(await reasonOf('cargo build', { cwd, env: { CC: 'ccache gcc' } })).toContain('ccache');
    put(cwd, { '.cargo/config.toml': '[env]\nCC = "clang"\n' });
    expect(await of({})).toContain('clang');
  });

  it('carries a toolchain that is a symlink with what it points to, and what rustup looks for', async () => {
    const home = process.env['RUSTUP_HOME'] ?? `${process.env['HOME'] ?? ''}/.rustup`;
    const names = existsSync(`${home}/toolchains`) ? readdirSync(`${home}/toolchains`) : [];
    const real = names.find((name) => name.startsWith('stable'));
    if (real === undefined) return;
    const mine = folderWith({ 'toolchains/.keep': '', 'update-hashes/mine': '0', 'tmp/left': '' });
    symlinkSync(`${home}/toolchains/${real}`, `${mine}/toolchains/mine`);
    const cwd = project(plain);
    put(cwd, { 'rust-toolchain.toml': '[toolchain]\nchannel = "mine"\n' });
    const plan = await planned('cargo build', { cwd, env: { RUSTUP_HOME: mine } });
    expect(plan.roots).toContainEqual(
      expect.objectContaining({ path: mine, only: ['toolchains/mine', 'update-hashes'] }),
    );
    expect(rootPaths(plan, 'readOnly')).toContain(`${home}/toolchains/${real}`);
  });

  it('plans again in a small part of the time', async () => {
    const cwd = project(plain);
    const context = newContext();
    const took = async (): Promise<number> => {
      const started = performance.now();
      await planned('cargo build', { cwd, context });
      return performance.now() - started;
    };
    const first = await took();
    let best = Infinity;
    for (let run = 0; run < 20; run += 1) best = Math.min(best, await took());
    expect(best, `${first} ms at first`).toBeLessThan(first / 5);
  });
});

const isolated =
  cargo && process.getuid?.() === 0 && spawnSync('unshare', ['-rmn', 'true']).status === 0;
const sandbox = join(dirname(fileURLToPath(import.meta.url)), 'sandbox.sh');

/** Copies of the roots as a worker would hold them; hard links where that is possible, since toolchains are large. */
function carry(plan: Plan, into: string): string {
  const lines = plan.roots.map((root) => {
    const kind = root.policy === 'project' ? 'rw' : 'ro';
    const target = `${into}/${kind}${root.path}`;
    mkdirSync(target, { recursive: true });
    const how = kind === 'ro' ? ['-al', '-a'] : ['-a'];
    const parts = root.only.length > 0 ? root.only : ['.'];
    const copied = how.some(
      (flag) =>
        spawnSync('cp', [flag, '--parents', ...parts, target], { cwd: root.path }).status === 0,
    );
    expect(copied).toBe(true);
    for (const part of [...root.skip, ...root.cold])
      rmSync(`${target}/${part}`, { recursive: true, force: true });
    return `${kind} ${root.path}`;
  });
  return lines.join('\n');
}

describe.skipIf(!isolated)('what is carried of cargo', () => {
  let home = '';
  let rustup = '';
  beforeAll(() => {
    rustup = process.env['RUSTUP_HOME'] ?? `${process.env['HOME'] ?? ''}/.rustup`;
  });

  it('is enough without network, and the result is Fresh here', async () => {
    home = folderWith({});
    const dependency = folderWith({
      'Cargo.toml': manifest('gd'),
      'src/lib.rs': 'pub fn one() -> u32 { 1 }\n',
    });
    const git = ['-c', 'user.name=a', '-c', 'user.email=a@b'];
    for (const args of [
      ['init', '-q'],
      ['add', '-A'],
      [...git, 'commit', '-qm', 'x'],
    ])
      execFileSync('git', args, { cwd: dependency });
    const cwd = folderWith({
      'Cargo.toml': manifest(
        'p',
        `[dependencies]\ncfg-if = "1"\nitoa = "1"\ngd = { git = "file://${dependency}" }\n`,
      ),
      'src/main.rs': 'fn main() { println!("{}", itoa::Buffer::new().format(gd::one())); }\n',
    });
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      ...{ CARGO_HOME: home, RUSTUP_HOME: rustup, RCH_BYPASS: '1' },
    };
    delete env['RUSTUP_AUTO_INSTALL'];
    const fetched = spawnSync('cargo', ['fetch'], { cwd, env, encoding: 'utf8' });
    if (fetched.status !== 0) throw new Error(`the registry is out of reach: ${fetched.stderr}`);
    const plan = await planned('cargo build', {
      cwd,
      env: { CARGO_HOME: home, RUSTUP_HOME: rustup },
    });
    expect(plan.first).toBeUndefined();

    const carried = folderWith({});
    const LIST = carry(plan, carried);
    const there = spawnSync('unshare', ['-rmn', sandbox, carried, 'cargo', 'build'], {
      env: { ...env, LIST, DIRECTORY: cwd },
      encoding: 'utf8',
    });
    expect(there.stderr).not.toContain('error');
    expect(there.status).toBe(0);
    expect(there.stderr).toMatch(/Compiling cfg-if.*Finished/s);
    expect(there.stderr).not.toMatch(/Updating|Download|warning/);

    execFileSync('cp', [
      '-a',
      '--no-target-directory',
      `${carried}/rw${cwd}/target`,
      `${cwd}/target`,
    ]);
    const here = spawnSync('cargo', ['build', '-v'], { cwd, env, encoding: 'utf8' });
    expect(here.stderr).toContain('Fresh p v0.1.0');
    expect(here.stderr).not.toContain('Compiling');
    rmSync(carried, { recursive: true });
  });
});
