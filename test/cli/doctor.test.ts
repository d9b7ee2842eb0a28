/** `rch doctor` in a world where all is well, with one fault at a time brought into it. */
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { areas } from '../../src/cli/doctor/check.ts';
import { mendOf } from '../../src/cli/doctor/compile.ts';
import { judgeWorker } from '../../src/cli/doctor/worker.ts';
import { foldersInFront } from '../../src/cli/shim/in-front.ts';
import type { MachineFacts } from '../../src/protocol/facts.ts';
import type { WorkerStatus } from '../../src/protocol/methods.ts';
import { differences, snapshot } from '../rig/tree-snapshot.ts';
import { Line } from './rig.ts';

type Row = {
  readonly area: string;
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly mend: string;
  readonly fixable: boolean;
};
type Told = {
  readonly ok: boolean;
  readonly checks: readonly Row[];
  readonly fixed: readonly { readonly id: string; readonly done: boolean }[];
};

const workers = '[[workers]]\nid = "here"\ntransport = "embedded"\n';

let line: Line;
let home: string;
let lib: string;
let PATH: string;
beforeAll(async () => {
  line = await Line.create(workers);
  home = line.world.home;
  lib = join(line.world.data, 'lib');
  PATH = line.world.shimEnv()['PATH'] ?? '';
  await line.world.rch(['shim', 'install']);
  await line.world.start();
});
afterAll(async () => {
  await line.world.dispose();
});

async function doctor(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Told & { readonly code: number | null; readonly by: (id: string) => Row | undefined }> {
  const said = await line.say(['doctor', '--json', ...args], { PATH, ...env });
  const told = JSON.parse(said.out) as Told;
  return { ...told, code: said.code, by: (id) => told.checks.find((row) => row.id === id) };
}

const failures = (told: Told): Row[] => told.checks.filter((row) => row.state === 'fail');

it('passes every area where all is well, a compile on the worker included', async () => {
  const told = await doctor([]);
  expect(failures(told)).toEqual([]);
  expect({ ok: told.ok, code: told.code }).toEqual({ ok: true, code: 0 });
  expect(new Set(told.checks.map((row) => row.area))).toEqual(new Set(areas));
  for (const id of ['path.bash', 'path.bash-login', 'path.zsh', 'path.fish', 'path.sh-login'])
    expect(told.by(id), id).toMatchObject({ state: 'pass', why: 'the shims are first on PATH' });
  expect(told.by('worker.here.compile')?.why).toMatch(/equal to one made here: .*run/);
  expect(told.checks.every((row) => (row.state === 'pass') === (row.mend === ''))).toBe(true);
});

describe('the installation', () => {
  it('fails with a link that leads elsewhere, which --fix makes anew', async () => {
    const link = join(line.shims, 'make');
    rmSync(link);
    symlinkSync('/nowhere', link);
    const told = await doctor(['installation']);
    expect(told.code).toBe(1);
    expect(told.by('installation.shims')).toMatchObject({
      state: 'fail',
      why: 'links that do not lead to the launcher: make',
      mend: 'rch shim install --no-profile',
      fixable: true,
    });
    const mended = await doctor(['installation', '--fix']);
    expect(mended).toMatchObject({ ok: true, fixed: [{ id: 'installation.shims', done: true }] });
    expect(statSync(link).ino).toBe(statSync(join(lib, 'rch-shim')).ino);
  });

  it('warns of a tool without a link', async () => {
    rmSync(join(line.shims, 'make'));
    const told = await doctor(['installation']);
    expect(told.by('installation.shims')).toMatchObject({
      state: 'warn',
      why: 'installed tools without a link: make',
    });
    expect(told.code).toBe(0);
    await doctor(['installation', '--fix']);
  });

  it('fails with a Node that is gone, which --fix links anew', async () => {
    rmSync(join(lib, 'node'));
    symlinkSync('/nowhere/node', join(lib, 'node'));
    expect((await doctor(['installation'])).by('installation.node')?.state).toBe('fail');
    expect(await doctor(['installation', '--fix'])).toMatchObject({ ok: true });
  });

  it('fails where others may change a program or a folder, which --fix closes', async () => {
    const native = join(lib, 'native');
    const program = join(lib, 'rch.mjs');
    chmodSync(native, 0o777);
    chmodSync(program, 0o664);
    const told = await doctor(['installation']);
    expect(told.by('installation.modes')).toMatchObject({
      state: 'fail',
      mend: 'rch doctor installation --fix',
      fixable: true,
    });
    expect(told.by('installation.modes')?.why).toContain(`${program} (0664)`);
    expect(told.by('installation.modes')?.why).toContain(`${native} (0777)`);
    expect(await doctor(['installation', '--fix'])).toMatchObject({
      ok: true,
      fixed: [{ id: 'installation.modes', done: true }],
    });
    expect(statSync(native).mode & 0o777).toBe(0o755);
    expect(statSync(program).mode & 0o777).toBe(0o644);
  });

  it('fails with a launcher or a daemon of another version, and with a program that is missing', async () => {
    const other = join(lib, 'rch-other.mjs');
    const { version } = (await line.facts(['version'])) as { version: string };
    const text = readFileSync(join(lib, 'rch.mjs'), 'utf8');
    expect(text.includes(`"${version}"`)).toBe(true);
    writeFileSync(other, text.replaceAll(`"${version}"`, '"99.1.2"'));
    rmSync(join(lib, 'rch-fs'));
    const ran = spawnSync(process.execPath, [other, 'doctor', 'installation', 'daemon', '--json'], {
      env: { ...line.world.env, PATH },
      encoding: 'utf8',
    });
    copyFileSync('dist/lib/rch-fs', join(lib, 'rch-fs'));
    rmSync(other);
    const { checks } = JSON.parse(ran.stdout) as Told;
    const by = (id: string): Row | undefined => checks.find((row) => row.id === id);
    expect(ran.status).toBe(1);
    expect(by('installation.launcher')?.why).toContain('is not of version 99.1.2');
    expect(by('daemon.version')).toMatchObject({ state: 'fail', mend: 'rch daemon restart' });
    expect(by('installation.files')?.why).toContain('rch-fs');
  });
});

describe('PATH', () => {
  /** A folder of another program with a cargo of its own. */
  function foreign(...parts: string[]): string {
    const folder = join(home, ...parts);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'cargo'), '#!/bin/sh\n', { mode: 0o755 });
    return folder;
  }

  it('fails where a tool puts itself before the shims after our lines, and --fix puts them last', async () => {
    const folder = foreign('.cargo', 'bin');
    const zshrc = join(home, '.zshrc');
    const before = readFileSync(zshrc, 'utf8');
    appendFileSync(zshrc, `export PATH="${folder}:$PATH"\n`);
    const told = await doctor(['path']);
    expect(told.code).toBe(1);
    expect(told.by('path.zsh')).toMatchObject({
      state: 'fail',
      why: `${folder} (rustup) stands before the shims, with cargo`,
      mend: 'rch shim install --shell zsh',
      fixable: true,
    });
    expect(told.by('path.bash')?.state).toBe('pass');
    const mended = await doctor(['path', '--fix']);
    expect(mended.by('path.zsh')?.state).toBe('pass');
    writeFileSync(zshrc, before);
  });

  it('sees what is done before each prompt, by pyenv in bash', async () => {
    const folder = foreign('.pyenv', 'shims');
    const bashrc = join(home, '.bashrc');
    const before = readFileSync(bashrc, 'utf8');
    appendFileSync(bashrc, `PROMPT_COMMAND='PATH="${folder}:$PATH"'\n`);
    const told = await doctor(['path']);
    expect(told.by('path.bash')?.why).toBe(`${folder} (pyenv) stands before the shims, with cargo`);
    writeFileSync(bashrc, before);
  });

  it('warns of a shell without our lines, and of variables that keep all here', async () => {
    const file = join(home, '.config', 'fish', 'conf.d', 'rch.fish');
    const before = readFileSync(file, 'utf8');
    rmSync(file);
    writeFileSync(join(home, '.config', 'fish', 'config.fish'), '');
    const told = await doctor(['path'], { SHELL: '/usr/bin/fish', RCH_BYPASS: '1' });
    expect(told.by('path.fish')).toMatchObject({
      state: 'warn',
      mend: 'rch shim install --shell fish',
    });
    expect(told.by('path.variables')).toMatchObject({ state: 'warn', mend: 'unset RCH_BYPASS' });
    const variables = async (name: string, value: string): Promise<string | undefined> =>
      (await doctor(['path'], { [name]: value })).by('path.variables')?.why;
    expect(await variables('RCH_BYPAS', '1')).toContain('did you mean RCH_BYPASS?');
    expect(await variables('RCH_PRIORITY', 'urgent')).toMatch(/urgent: must be .*runs here/);
    expect(await variables('RCH_SOMETHING_ELSE', '1')).toContain('none');
    writeFileSync(file, before);
  });

  it('leaves nothing behind of a fish that was never used', async () => {
    const fresh = mkdtempSync(join(line.world.root, 'fresh-'));
    for (const made of ['.config', '.config/fish/conf.d']) {
      mkdirSync(join(fresh, made), { recursive: true });
      const before = snapshot(fresh);
      const told = await doctor(['path'], { HOME: fresh });
      expect(told.by('path.fish')?.state).toBe('pass');
      expect(differences(before, snapshot(fresh))).toEqual([]);
    }
  });

  it('reads the settings of fish where they are, universal variables included', async () => {
    const settings = join(home, '.config', 'fish');
    const folder = foreign('.config', 'fish', 'bin');
    const written = join(settings, 'config.fish');
    writeFileSync(written, 'source (status dirname)/more.fish\n');
    writeFileSync(
      join(settings, 'more.fish'),
      'set -p PATH $__fish_config_dir/bin\nset -U seen 1\n',
    );
    const before = snapshot(settings);
    const told = await doctor(['path']);
    expect(told.by('path.fish')?.why).toBe(`${folder} stands before the shims, with cargo`);
    expect(differences(before, snapshot(settings))).toEqual([]);
    rmSync(join(settings, 'more.fish'));
    const other = foreign('elsewhere');
    writeFileSync(written, '');
    writeFileSync(join(settings, 'fish_variables'), `# VERSION: 3.0\nSETUVAR mine:${other}\n`);
    expect((await doctor(['path'])).by('path.fish')?.state).toBe('pass');
    writeFileSync(written, 'set -p PATH $mine\n');
    expect((await doctor(['path'])).by('path.fish')?.why).toContain(other);
    for (const file of [written, join(settings, 'fish_variables')]) rmSync(file);
    rmSync(folder, { recursive: true });
  });

  it('names the .envrc of direnv in front of this shell', async () => {
    const folder = foreign('project', 'tools');
    const told = await doctor(['path'], {
      PATH: `${folder}:${PATH}`,
      DIRENV_DIR: `-${join(home, 'project')}`,
    });
    expect(told.by('path.here')).toMatchObject({
      state: 'fail',
      mend: `end ${join(home, 'project')}/.envrc with: PATH_add '${line.shims}'`,
    });
  });

  it.each([
    ['/home/me/.local/share/mise/installs/rust/1.80/bin', 'mise'],
    ['/home/me/.asdf/shims', 'asdf'],
    ['/home/me/.pyenv/shims', 'pyenv'],
    ['/home/me/.cargo/bin', 'rustup'],
  ])('knows whose %s is', (folder, by) => {
    const row = { tool: 'cargo', link: '/s/cargo', real: `${folder}/cargo`, first_on_path: false };
    expect(foldersInFront([row], '/s', undefined)).toMatchObject([{ folder, by }]);
  });
});

describe('the configuration', () => {
  it('fails at the place of a mistake, and where no worker is left', async () => {
    line.world.writeConfig('config.toml', '[general]\nenabled = 7\n');
    const broken = await doctor(['config', 'workers']);
    const file = line.config('config.toml');
    expect(broken.by('config.valid')?.why).toContain(`${file}:2:`);
    expect(broken.by('config.valid')?.mend).toContain(`+2 '${file}'`);
    expect(broken.code).toBe(1);
    line.world.writeConfig('config.toml', '[general]\nenabled = false\n');
    line.world.writeConfig('workers.toml', '');
    const empty = await doctor(['config', 'workers']);
    expect(empty.by('config.enabled')?.state).toBe('warn');
    expect(empty.by('config.workers')).toMatchObject({
      state: 'fail',
      mend: 'rch workers discover',
    });
    line.world.writeConfig('config.toml', '');
    line.world.writeConfig('workers.toml', workers);
  });

  it('fails where others may change a file, which --fix closes', async () => {
    chmodSync(line.config('workers.toml'), 0o666);
    const toolchain = line.config('toolchain.toml');
    writeFileSync(toolchain, '[cpp]\ngcc_version = 14\n');
    const told = await doctor(['config']);
    expect(told.by('config.mode')?.state).toBe('fail');
    expect(told.by('config.toolchain')).toMatchObject({
      state: 'warn',
      mend: `\${EDITOR:-vi} +2 '${toolchain}'`,
    });
    rmSync(toolchain);
    expect(await doctor(['config', '--fix'])).toMatchObject({ ok: true });
    expect(statSync(line.config('workers.toml')).mode & 0o777).toBe(0o644);
  });
});

describe('workers', () => {
  it('fail with the line for ssh where nobody answers, and with a key that others can read', async () => {
    const key = join(line.world.root, 'key');
    writeFileSync(key, 'no key');
    chmodSync(key, 0o640);
    line.world.writeConfig(
      'workers.toml',
      `[[workers]]\nid = "gone"\nhost = "127.0.0.1"\nport = 1\nuser = "me"\nidentity_file = "${key}"\n` +
        '[[workers]]\nid = "off"\nhost = "h"\nenabled = false\n',
    );
    const told = await doctor(['workers']);
    expect(told.code).toBe(1);
    expect(told.by('worker.gone.identity')).toMatchObject({ mend: `chmod 600 '${key}'` });
    expect(told.by('worker.gone.reachable')?.state).toBe('fail');
    expect(told.by('worker.gone.host-key')?.mend).toContain('ssh -p 1 -l me');
    expect(told.by('worker.off.in-use')?.state).toBe('pass');
    expect(told.by('worker.gone.compile')).toBeUndefined();
    await doctor(['workers', '--fix']);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    line.world.writeConfig('workers.toml', workers);
    await line.say(['workers', 'probe', 'here']);
  });
});

describe('the hook', () => {
  it('fails when its program is gone, which --fix brings back', async () => {
    await line.world.rch(['hook', 'install']);
    expect((await doctor(['hook'])).by('hook.claude.user')?.state).toBe('pass');
    rmSync(join(lib, 'rch-hook'));
    const told = await doctor(['hook']);
    expect(told.by('hook.claude.user')).toMatchObject({
      state: 'fail',
      mend: 'rch hook install --agent claude',
    });
    expect(await doctor(['hook', '--fix'])).toMatchObject({ ok: true });
  });
});

describe('the daemon', () => {
  it('fails when it was stopped, which --fix starts before it looks at the workers', async () => {
    await line.say(['daemon', 'stop']);
    const told = await doctor(['daemon', 'workers']);
    expect(told.code).toBe(1);
    expect(told.by('daemon.running')).toMatchObject({ mend: 'rch daemon start', fixable: true });
    expect(told.by('workers')?.why).toContain('not looked at');
    const mended = await doctor(['daemon', 'workers', '--fix']);
    expect(failures(mended)).toEqual([]);
    expect(mended.fixed).toMatchObject([{ id: 'daemon.running', done: true }]);
    expect(mended.by('worker.here.compile')?.state).toBe('pass');
  });

  it('fails while nothing can be written to its log', async () => {
    const file = join(home, 'no-folder');
    writeFileSync(file, '');
    await line.say(['config', 'set', '--user', 'general.log_file', join(file, 'log')]);
    await line.say(['daemon', 'restart']);
    await line.say(['status']);
    const told = await doctor(['daemon']);
    expect(told.code).toBe(1);
    expect(told.by('daemon.log')?.why).toMatch(/nothing is written to it: \S+no-folder\/log: /);
    expect((await line.say(['status'])).out).toMatch(/log: \S+no-folder\/log: /);
    await line.say(['config', 'unset', '--user', 'general.log_file']);
    await line.say(['daemon', 'restart']);
    expect((await doctor(['daemon'])).by('daemon.log')?.state).toBe('pass');
  });

  it('fails when others can reach its folder, which --fix closes', async () => {
    chmodSync(join(line.world.data, 'run'), 0o755);
    expect((await doctor(['daemon'])).by('daemon.running')?.mend).toMatch(/^chmod 700/);
    expect(await doctor(['daemon', '--fix'])).toMatchObject({ ok: true });
  });
});

describe('what a worker says of itself', () => {
  const tool = { name: 'gcc', path: '/usr/bin/gcc', version: 'gcc 12 [12.2.0]', target: 'x' };
  const local = { tools: [tool] } as unknown as MachineFacts;
  const facts = {
    ...{ hostname: 'w', system: 'Debian', arch: 'x86_64', kernel: '6', libc: 'glibc 2.36' },
    ...{ cores: 4, memory: 8e9, diskFree: 1e11, user: 'me', node: 'v20.20.0' },
    sandbox: { method: 'namespaces' as const, mend: '' },
    tools: [tool],
  };
  const status: WorkerStatus = {
    ...{ id: 'css', transport: 'ssh', host: 'h', state: 'connected', reason: '', next: '' },
    ...{ sinceMs: 1, slots: { total: 4, used: 0 }, jobs: 0, priority: 100, tags: [] },
    ...{ health: 'healthy', mandate: 'enabled', troubles: [], load: null },
    ...{ breaker: 'closed', clockOffsetMs: 0.2, roundTripMs: 3, speed: null, facts },
  };
  const states = (of: Partial<WorkerStatus>): Record<string, string> =>
    Object.fromEntries(
      judgeWorker({ ...status, ...of }, local)
        .filter(({ state }) => state !== 'pass')
        .map(({ id, state, mend }) => [id, `${state}: ${mend}`]),
    );

  it.each<[string, Partial<WorkerStatus>, Record<string, string>]>([
    ['all is well', {}, {}],
    [
      'no sandbox',
      { facts: { ...facts, sandbox: { method: 'none', mend: 'x' } } },
      { 'worker.css.sandbox': 'fail: rch workers setup css' },
    ],
    [
      'real folders',
      { facts: { ...facts, sandbox: { method: 'folder', mend: 'x' } } },
      { 'worker.css.sandbox': 'warn: rch workers setup css' },
    ],
    [
      'a tool that is missing',
      { facts: { ...facts, tools: [] } },
      { 'worker.css.tools': 'warn: rch workers setup css --with gcc' },
    ],
    [
      'a tool of another version',
      { facts: { ...facts, tools: [{ ...tool, version: 'gcc 13' }] } },
      { 'worker.css.versions': 'warn: rch workers sync css' },
    ],
    [
      'a full disk',
      { facts: { ...facts, diskFree: 5e8 } },
      { 'worker.css.disk': 'fail: rch gc css --to-mb 1000' },
    ],
    [
      'a clock that nobody sets',
      { clockOffsetMs: -90_000 },
      { 'worker.css.clock': 'warn: on the worker: sudo timedatectl set-ntp true' },
    ],
    [
      'an open breaker',
      { breaker: 'open' },
      { 'worker.css.in-use': 'warn: rch history; rch workers probe css' },
    ],
    [
      'troubles that the daemon found, each once',
      {
        facts: { ...facts, diskFree: 5e8 },
        troubles: [
          { kind: 'silent', reason: 'no answer', next: '', used: false },
          { kind: 'disk', reason: 'little disk', next: 'make room', used: true },
          { kind: 'load', reason: 'others are at work', next: '', used: true },
          {
            kind: 'clock',
            reason: 'it was set',
            next: 'let one time service keep it',
            used: false,
          },
        ],
      },
      {
        'worker.css.disk': 'fail: rch gc css --to-mb 1000',
        'worker.css.trouble-silent': 'warn: rch workers probe css',
        'worker.css.trouble-load': 'warn: rch workers drain css, or let the others there end',
        'worker.css.trouble-clock': 'warn: let one time service keep it',
      },
    ],
  ])('is judged: %s', (_, of, expected) => {
    expect(states(of)).toEqual(expected);
  });

  it.each([
    ['the worker has no gcc; C is compiled', 'rch workers setup css'],
    ['the worker lacks the package libc6-dev 2.36; x', 'rch workers setup css --with libc6-dev'],
    ['gcc is "13" there and "12" here; x', 'rch workers sync css'],
    ['package libc6-dev is 2.35 there and 2.36 here; x', 'rch workers sync css'],
    ['no worker is connected', undefined],
  ])('%s is mended by %s', (reason, mend) => {
    expect(mendOf('css', reason)).toBe(mend);
  });
});
