import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTimeOf } from '../../src/base/processes.ts';
import { differences, snapshot } from '../rig/tree-snapshot.ts';
import { clear } from '../rig/processes.ts';

const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A copy of what a clone has, so that a build in it disturbs nobody; the packages are those that are here. */
let clone: string;
let home: string;
let env: Record<string, string>;

beforeAll(() => {
  clone = mkdtempSync(join(tmpdir(), 'rch-clone-'));
  const files = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: top,
    encoding: 'utf8',
  });
  for (const file of files
    .split('\0')
    .filter((name) => name !== '' && existsSync(join(top, name)))) {
    mkdirSync(dirname(join(clone, file)), { recursive: true });
    cpSync(join(top, file), join(clone, file));
  }
  symlinkSync(realpathSync(join(top, 'node_modules')), join(clone, 'node_modules'));
});
afterAll(() => {
  rmSync(clone, { recursive: true, force: true });
});

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rch-home-'));
  writeFileSync(join(home, '.bashrc'), '# mine\n');
  writeFileSync(join(home, '.profile'), '# mine too');
  env = {
    ...(process.env as Record<string, string>),
    HOME: home,
    RUSTUP_HOME: process.env['RUSTUP_HOME'] ?? join(process.env['HOME'] ?? '/root', '.rustup'),
    CARGO_HOME: process.env['CARGO_HOME'] ?? join(process.env['HOME'] ?? '/root', '.cargo'),
  };
  for (const name of [
    'XDG_DATA_HOME',
    'XDG_CONFIG_HOME',
    'XDG_STATE_HOME',
    'XDG_CACHE_HOME',
    'RUSTUP_AUTO_INSTALL',
  ])
    Reflect.deleteProperty(env, name);
});
afterEach(async () => {
  // A daemon of a test that failed on the way.
  if (existsSync(join(home, '.local/bin/rch'))) await rch('daemon', 'stop', '--now');
  clear(home);
});

type Said = { code: number | null; out: string };

function run(
  program: string,
  args: readonly string[],
  more: Record<string, string> = {},
): Promise<Said> {
  const child = spawn(program, args, {
    cwd: '/',
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (out += text));
  return new Promise((resolve) => {
    child.once('close', (code) => {
      resolve({ code, out });
    });
  });
}
const install = (...args: string[]): Promise<Said> => run(join(clone, 'install.sh'), args);
const rch = (...args: string[]): Promise<Said> => run(join(home, '.local/bin/rch'), args);

async function daemonPid(): Promise<number> {
  return (JSON.parse((await rch('daemon', 'status', '--json')).out) as { pid: number }).pid;
}

it('installs with the demo, says where, and uninstalls without a trace', async () => {
  const before = snapshot(home);
  const said = await install('--demo');
  expect(said.out).toContain(`${home}/.local/share/rch`);
  expect(said.out).toContain(`${home}/.local/bin/rch`);
  expect(said.out).toContain('no shell profile was changed');
  expect(said.out, said.out.slice(-1500)).toMatch(
    /C with make: make -j2\n +where +on worker embedded/,
  );
  expect(said.out, said.out.slice(-1500)).not.toMatch(/\bNO\b/);
  expect(said.code, said.out.slice(-1500)).toBe(0);
  expect(readFileSync(join(home, '.bashrc'), 'utf8')).toBe('# mine\n');

  const pid = await daemonPid();
  expect((await rch('shim', 'install')).code).toBe(0);
  expect(readFileSync(join(home, '.bashrc'), 'utf8')).toContain('rch shims');
  expect((await rch('hook', 'install')).code).toBe(0);
  expect(readFileSync(join(home, '.claude/settings.json'), 'utf8')).toContain('lib/rch-hook');
  const gone = await install('--uninstall', '--purge');
  expect(gone.code).toBe(0);
  expect(startTimeOf(pid)).toBeUndefined();
  expect(differences(before, snapshot(home))).toEqual([]);
});

it('upgrades in place: the files are new, the daemon is restarted, configuration and shims stay', async () => {
  expect((await install()).code).toBe(0);
  await rch('shim', 'install', '--no-profile', '--tool', 'gcc-99');
  await rch('workers', 'add', '--id', 'a', '--transport', 'command', '--', 'true');
  await rch('daemon', 'start');
  const pid = await daemonPid();
  const lib = join(home, '.local/share/rch/lib');
  writeFileSync(join(lib, 'rch-shim'), 'old');
  const again = await install();
  expect(again.code).toBe(0);
  expect(again.out).toContain('restarted the daemon');
  expect(await daemonPid()).not.toBe(pid);
  expect(
    readFileSync(join(lib, 'rch-shim')).equals(readFileSync(join(clone, 'dist/lib/rch-shim'))),
  ).toBe(true);
  expect(readdirSync(lib).filter((name) => name.endsWith('.new'))).toEqual([]);
  expect(readdirSync(join(home, '.local/share/rch/shims'))).toContain('gcc-99');
  expect((await rch('workers', 'list')).out).toContain('a ');
  const gone = await install('--uninstall');
  expect(gone.out).toContain(`kept your configuration in ${home}/.config/rch (--purge removes it)`);
  expect(existsSync(join(home, '.config/rch/workers.toml'))).toBe(true);
  expect(existsSync(join(home, '.local/share/rch'))).toBe(false);
  const purged = await install('--uninstall', '--purge');
  expect(purged).toMatchObject({ code: 0 });
  expect(purged.out).toContain(`removed ${home}/.config/rch`);
  expect(existsSync(join(home, '.config/rch'))).toBe(false);
  expect((await install('--uninstall', '--purge')).out).toContain('nothing was removed');
});

it('does not purge the configuration of an installation elsewhere', async () => {
  expect((await install('--prefix', join(home, 'elsewhere'))).code).toBe(0);
  const rchThere = join(home, 'elsewhere/bin/rch');
  await run(rchThere, ['workers', 'add', '--id', 'a', '--transport', 'command', '--', 'true']);
  expect((await install('--uninstall', '--purge')).out).toContain('nothing was removed');
  expect(existsSync(join(home, '.config/rch/workers.toml'))).toBe(true);
});

it('installs where --prefix says; by --easy-mode with all that one may want, which goes without a trace too', async () => {
  const prefix = join(home, 'a prefix');
  mkdirSync(join(home, '.claude'));
  mkdirSync(join(home, '.ssh'), { mode: 0o700 });
  // A machine that nobody reaches: it is told, and becomes no worker.
  writeFileSync(join(home, '.ssh/config'), 'Host gone.invalid\n');
  const before = snapshot(home);
  const easy = await install('--prefix', prefix, '--easy-mode', '--fleet');
  expect(easy.code, easy.out).toBe(0);
  expect(easy.out).toMatch(/gone\.invalid .*unreachable/);
  expect(existsSync(join(home, '.config/rch/workers.toml'))).toBe(false);
  expect(readFileSync(join(home, '.bashrc'), 'utf8')).toContain('a prefix/share/rch');
  expect(readFileSync(join(home, '.claude/settings.json'), 'utf8')).toContain('rch-hook');
  const said = await run(join(prefix, 'bin/rch'), ['version']);
  expect(said.out).toContain(join(prefix, 'share/rch'));
  // A folder where nothing of ours is: what is known of elsewhere is not touched.
  const wrong = await install('--uninstall', '--purge');
  expect(wrong.out).toContain('nothing was removed');
  expect(existsSync(join(home, '.local/state/rch'))).toBe(true);
  await install('--prefix', prefix, '--uninstall', '--purge');
  expect(differences(before, snapshot(home))).toEqual([]);
});

it.each(['000', '777'])(
  'leaves nothing that others may change, under a umask of %s',
  async (mask) => {
    const said = await run('bash', ['-c', `umask ${mask}; exec "$0"`, join(clone, 'install.sh')]);
    expect(said.code, said.out.slice(-1500)).toBe(0);
    const open = execFileSync('find', [home, '!', '-type', 'l', '-perm', '/022'], {
      encoding: 'utf8',
    });
    expect(open).toBe('');
    expect((await rch('version')).code).toBe(0);
  },
);

/** What root is given by --worker-only, another account must have. */
const fit = [
  'PATH=$PATH:/usr/sbin',
  'for name in sshd gcc g++ make cmake ninja meson pkg-config; do command -v $name || exit 1; done',
  'unshare --user --map-root-user --mount --pid --fork true || command -v bwrap',
].join('\n');
const canBeWorker =
  process.getuid?.() === 0 || spawnSync('sh', ['-c', fit], { stdio: 'ignore' }).status === 0;

it.skipIf(!canBeWorker)(
  'makes a machine a worker by --worker-only, with nothing of rch on it',
  async () => {
    const before = snapshot(home);
    const said = await install('--worker-only');
    expect(said.code, said.out).toBe(0);
    expect(said.out).toMatch(/\n {2}rch workers add --id [\w.-]+ --host \S+ --user \S+\n/);
    expect(differences(before, snapshot(home))).toEqual([]);
  },
);

it('says what it takes and what it does not understand', async () => {
  expect((await install('--help')).out).toContain('--demo');
  const said = await install('--frobnicate');
  expect(said).toMatchObject({ code: 1 });
  expect(said.out).toContain('unknown option --frobnicate; see ./install.sh --help');
});

it('is run by any shell, as long as there is a bash', async () => {
  const script = join(clone, 'install.sh');
  const sh = realpathSync('/bin/sh');
  expect(await run(sh, [script, '--help'])).toMatchObject({ code: 0 });
  const said = await run(sh, [script, '--help'], { PATH: '/nowhere' });
  expect(said).toMatchObject({ code: 1 });
  expect(said.out).toContain('run it by bash, in the folder of the sources: ./install.sh');
});

it('names what is missing when there is no node', async () => {
  const bin = join(home, 'bin');
  mkdirSync(bin);
  for (const tool of [
    'bash',
    'dirname',
    'uname',
    'id',
    'cc',
    'c++',
    'make',
    'python3',
    'ssh',
    'env',
  ])
    symlinkSync(execFileSync('which', [tool], { encoding: 'utf8' }).trim(), join(bin, tool));
  const said = await run(join(clone, 'install.sh'), [], { PATH: bin });
  expect(said.code).toBe(1);
  expect(said.out).toContain('Node 20 or newer is needed');
});
