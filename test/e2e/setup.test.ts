/**
 * A worker from the start, a minimal Debian with sshd alone: found in ssh_config, added, probed, of no use and why, set up
 * by its own package manager, and kept in step with this machine. One bare worker goes through all of it, in this order.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Line, type Said } from '../cli/rig.ts';
import { Fleet, noFleet, type FleetWorker } from '../rig/fleet.ts';
import type { HistoryRow } from '../rig/world.ts';
import { cargoProject, cmakeProject, makeProject, write, type Files } from './projects.ts';
import { tiny, within, words } from './trouble.ts';

let fleet: Fleet;
let worker: FleetWorker;
let line: Line;
let base: string;
let PATH: string;
let env: Readonly<Record<string, string>>;

/** Bytes of the library of a stand-in for Rust, which is brought as any toolchain is, in less time. */
const LIBRARY = 300_000;

function standInRust(): Readonly<Record<string, string>> {
  const [rustup, cargo] = [join(base, 'rustup'), join(base, 'cargo')];
  write(rustup, {
    'settings.toml': 'default_toolchain = "mine"\n',
    'toolchains/mine/bin/rustc':
      '#!/bin/sh\n[ "$1" = --version ] && echo "rustc 1.2.3 (stand-in)" && exit\n: >libx.rlib\n',
    'toolchains/mine/lib/library': randomBytes(LIBRARY).toString('base64'),
  });
  write(cargo, {
    'bin/rustup': '#!/bin/sh\nexec "$RUSTUP_HOME/toolchains/mine/bin/${0##*/}" "$@"\n',
  });
  symlinkSync('rustup', join(cargo, 'bin', 'rustc'));
  return { RUSTUP_HOME: rustup, CARGO_HOME: cargo, PATH: `${cargo}/bin:${PATH}` };
}

const rch = (...args: string[]): Promise<Said> => line.say(args, env);

async function facts<T>(...args: string[]): Promise<T> {
  const said = await rch(...args, '--json');
  return JSON.parse(said.out) as T;
}

/** Builds a project of these files, and says what became of it. Without `of.env` Rust is the stand-in. */
async function build(
  name: string,
  argv: readonly string[],
  of: { readonly files?: Files; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<HistoryRow> {
  const cwd = join(base, name);
  mkdirSync(cwd, { recursive: true });
  write(cwd, of.files ?? tiny);
  const given = of.env ?? env;
  const ended = await within(
    line.world.run(argv, {
      cwd,
      env: { ...given, PATH: `${line.shims}:${given['PATH'] ?? ''}`, RCH_FORCE_REMOTE: '1' },
    }),
    'the build',
    120_000,
  );
  expect(ended.code, words(ended)).toBe(0);
  const [row] = await line.world.history(1);
  if (row === undefined) throw new Error('the daemon has no history');
  return row;
}

/** A package with one program that says its version, installed there over what there is. */
async function installOther(program: string, version: string): Promise<void> {
  const folder = join(base, 'package');
  const architecture = execFileSync('/usr/bin/dpkg', ['--print-architecture'], {
    encoding: 'utf8',
  }).trim();
  write(folder, {
    'DEBIAN/control': `Package: ${program}\nVersion: ${version}\nArchitecture: ${architecture}\nMaintainer: me\nDescription: x\n`,
    [`usr/bin/${program}`]: `#!/bin/sh\necho other ${version}\n`,
  });
  chmodSync(folder, 0o755);
  execFileSync('/usr/bin/dpkg-deb', [
    '--root-owner-group',
    '--build',
    folder,
    join(base, 'other.deb'),
  ]);
  cpSync(join(base, 'other.deb'), join(worker.root, 'var', 'local', 'other.deb'));
  await fleet.inside(worker, 'dpkg', '-i', '/var/local/other.deb');
}

describe.skipIf(noFleet !== undefined)('a bare machine that becomes a worker', () => {
  beforeAll(async () => {
    fleet = await Fleet.up('setup', 0, { bare: 1 });
    worker = fleet.worker(0);
    await fleet.stock(worker, ['gcc', 'libc6-dev', 'make', 'sudo']);
    line = await Line.create();
    base = mkdtempSync(join(tmpdir(), 'rch-setup-'));
    const { home } = line.world;
    const ssh = join(home, '.ssh');
    const { host, user, identityFile } = worker;
    write(home, {
      '.ssh/config': `Include ${ssh}/conf.d/*\nHost git.example\n  User git\n`,
      '.ssh/conf.d/box': `Match originalhost box\n  HostName ${host}\n  User ${user}\n  IdentityFile ${identityFile}\n`,
      '.zshrc': `alias again='ssh -i ${identityFile} ${user}@${host}'\nalias gone='ssh -p 1 me@127.0.0.1'\n`,
    });
    // ssh itself reads the configuration of the account, whatever HOME says.
    const bin = join(base, 'bin');
    write(bin, { ssh: `#!/bin/sh\nexec /usr/bin/ssh -F '${ssh}/config' "$@"\n` });
    PATH = `${bin}:${line.world.env['PATH'] ?? ''}`;
    env = standInRust();
    await rch('daemon', 'start');
  }, 900_000);
  afterAll(async () => {
    await line.world.dispose();
    await fleet.release();
    rmSync(base, { recursive: true, force: true });
  });

  it('has sshd alone', async () => {
    const tools = 'command -v node gcc make cargo bwrap || true';
    expect(await fleet.inside(worker, 'sh', '-c', tools)).toBe('');
  });

  it('is found in ssh_config and aliases, once, beside those that cannot be one', async () => {
    const { found } = await facts<{ found: { id: string; state: string; from: string[] }[] }>(
      'workers',
      'discover',
    );
    expect(found.map(({ id, state, from }) => [id, state, from.length])).toEqual([
      ['box', 'ready', 2],
      ['git.example', 'skipped', 1],
      ['gone', 'unreachable', 1],
    ]);
    expect(await rch('workers', 'discover', '--yes', '--accept-host-key')).toMatchObject({
      code: 0,
    });
    expect(readFileSync(line.config('workers.toml'), 'utf8')).toMatch(/id = "box"\nhost = "box"\n/);
    const again = await rch('workers', 'discover');
    expect(again.out).toMatch(/1 +box .* known: it is the worker box/);
  });

  it('is probed: what it is, what it lacks and what mends that, how far and how fast', async () => {
    const { out } = await rch('workers', 'probe', '--all');
    for (const name of [
      'machine',
      'cores',
      'memory',
      'disk',
      'libc',
      'node',
      'sandbox',
      'clock',
      'rate',
    ])
      expect(out, name).toMatch(new RegExp(`^${name} `, 'm'));
    expect(out).toMatch(/^node .* it has none of its own$/m);
    expect(out).toMatch(/^missing .*gcc.*\n +rch workers setup box --with .*gcc/m);
  });

  it('is what rch doctor names, with the command that mends it', async () => {
    const told = await rch('doctor', 'workers', '--json');
    expect(told.code).toBe(1);
    const { checks } = JSON.parse(told.out) as {
      checks: { id: string; state: string; mend: string }[];
    };
    const by = (part: string): unknown => checks.find(({ id }) => id === `worker.box.${part}`);
    expect(by('reachable')).toMatchObject({ state: 'pass' });
    expect(by('host-key')).toMatchObject({ state: 'pass' });
    expect(by('tools')).toMatchObject({
      state: 'warn',
      mend: expect.stringContaining('rch workers setup box --with') as string,
    });
    expect(by('compile')).toMatchObject({ state: 'fail', mend: 'rch workers setup box' });
  });

  it.each<[string, Files, readonly string[], RegExp]>([
    ['make', makeProject, ['make'], /the worker has no (make|cc|gcc)/],
    ['cargo', cargoProject, ['cargo', 'build'], /the worker has no (cc|gcc)|lacks/],
    ['gcc', { 'x.c': 'int main(void) { return 0; }\n' }, ['gcc', 'x.c', '-o', 'x'], /has no gcc/],
  ])('takes no %s before it is set up, for a reason that is told', async (...of) => {
    const [name, files, argv, reason] = of;
    const row = await build(name, argv, { files, env: { PATH } });
    expect(row).toMatchObject({ decision: 'local', worker: null });
    expect(row.reason).toMatch(/box/);
    expect(row.reason).toMatch(reason);
    expect(await line.world.rch(['why'])).toMatch(reason);
  });

  it('takes no build configured by CMake either', async () => {
    write(join(base, 'cmake'), cmakeProject);
    const argv = ['cmake', '-G', 'Ninja', '-B', 'build'];
    const setup = await line.world.run(argv, { cwd: join(base, 'cmake'), shims: false });
    expect(setup.code, words(setup)).toBe(0);
    const row = await build('cmake', ['cmake', '--build', 'build'], { files: {} });
    expect(row).toMatchObject({ decision: 'local', worker: null });
    expect(row.reason).toMatch(/the worker has no (cmake|ninja|cc|gcc)/);
  });

  it('is set up only where somebody may, and said yes', async () => {
    const wish = ['workers', 'setup', 'box', '--only', '--with', 'gcc,make'];
    const refused = await rch(...wish, '--yes');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('cannot become root by itself: it has no sudo');
    expect(refused.err).toContain('next: as root on box: sh -c');
    await fleet.inside(worker, 'sh', '-c', 'apt-get update -q && apt-get install -y -q sudo');
    writeFileSync(
      join(worker.root, 'etc', 'sudoers.d', 'builder'),
      `${worker.user} ALL=(ALL) NOPASSWD: ALL\n`,
    );
    const dry = await rch(...wish, '--dry-run');
    expect(dry).toMatchObject({ code: 0 });
    expect(dry.out).toContain('1. install gcc libc6-dev make by apt-get, by sudo');
    expect((await rch(...wish)).err).toContain('nobody can be asked');
    expect(await fleet.inside(worker, 'sh', '-c', 'command -v gcc make || true')).toBe('');
  });

  it('takes builds once it is set up, and has nothing left to be done', async () => {
    const wish = ['workers', 'setup', 'box', '--only', '--with', 'gcc,make', '--yes'];
    const done = await rch(...wish);
    expect(done.code, done.err).toBe(0);
    expect(done.out).toMatch(/gcc: not there → gcc/);
    const row = await build('there', ['make']);
    expect(row, row.reason).toMatchObject({ decision: 'remote', worker: 'box', exit: 0 });
    const again = await rch(...wish);
    expect(again.out).toMatch(/^box \(.*\): nothing to do\nthere already: gcc make/);
  });

  it('is brought back to the versions of this machine when it drifts, which rch doctor tells', async () => {
    await installOther('make', '0.9');
    const { checks } = await facts<{ checks: { id: string; state: string; mend: string }[] }>(
      'doctor',
      'workers',
    );
    expect(checks.find(({ id }) => id === 'worker.box.versions')).toMatchObject({
      state: 'warn',
      mend: 'rch workers sync box',
    });
    const drifted = await build('drifted', ['make']);
    expect(drifted.reason).toMatch(/make is "other 0.9" there/);
    const synced = await rch('workers', 'sync', 'box', '--cpp', '--yes');
    expect(synced.code, synced.err).toBe(0);
    expect(synced.err).toMatch(/1\. install make=\S+ by apt-get, by sudo/);
    expect(synced.out).toMatch(/^box is in sync\n {2}make: other 0.9 → GNU Make/);
    const row = await build('synced', ['make']);
    expect(row, row.reason).toMatchObject({ decision: 'remote', worker: 'box' });
  });

  it('gets the Rust toolchain ahead of the first build', async () => {
    const [report] = await facts<{ error: unknown; rust: { by: string; sent: number } }[]>(
      'workers',
      'sync',
      'box',
      '--rust',
    );
    expect(report).toMatchObject({
      error: null,
      rust: { by: 'shipping', toolchain: 'mine', version: 'rustc 1.2.3 (stand-in)' },
    });
    expect(report?.rust.sent).toBeGreaterThan(LIBRARY);
    const row = await build('crate', ['rustc', '--crate-type', 'lib', 'x.rs'], {
      files: { 'x.rs': '' },
    });
    expect(row, row.reason).toMatchObject({ decision: 'remote', worker: 'box', exit: 0 });
    expect(row.bytes.sent).toBeLessThan(LIBRARY);
  });

  it('has Rust installed by its own rustup where that is wished', async () => {
    const stub =
      '#!/bin/sh\ncase $1 in\ntoolchain) echo "$3" >"$HOME/installed" ;;\n' +
      'run) [ "$(cat "$HOME/installed")" = "$2" ] && echo "rustc $2 of a test" ;;\nesac\n';
    write(worker.home, { '.cargo/bin/rustup': stub });
    const wish = ['workers', 'sync', 'box', '--rust', '--rustup', '--yes'];
    const synced = await rch(...wish);
    expect(synced.code, synced.err).toBe(0);
    expect(synced.out).toContain('Rust: not there → rustc 1.2.3 of a test');
    writeFileSync(line.config('toolchain.toml'), '[rust]\nchannel = "stable"\n');
    const other = await rch(...wish);
    expect(other.code).toBe(1);
    expect(other.err).toContain('next: rustup toolchain install stable');
  });
});
