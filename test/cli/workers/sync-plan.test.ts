/** What `rch workers sync` decides: which packages bring a worker's tools to the versions here, and which Rust goes there. */
import { existsSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ownersOf, parseSources, type Owners } from '../../../src/cli/workers/databases.ts';
import {
  lackingComponents,
  lockedName,
  nameFor,
  rustupQuery,
  rustupStep,
} from '../../../src/cli/workers/rust.ts';
import {
  cppPlan,
  type CppPlan,
  type Here,
  type Locks,
  type There,
} from '../../../src/cli/workers/sync-plan.ts';
import { rowsOf } from '../../../src/cli/workers/sync-report.ts';
import { checkText } from '../../../src/config/layers.ts';
import { settingsIn } from '../../../src/config/known.ts';
import { toolchainShape, type ToolchainFile } from '../../../src/config/toolchain-schema.ts';
import { camelKeys } from '../../../src/config/problems.ts';
import type { ToolFacts } from '../../../src/protocol/facts.ts';

const tool = (name: string, version: string): ToolFacts => ({
  ...{ name, version, path: `/usr/bin/${name}`, target: '' },
});
const owners = (own: readonly string[], siblings: readonly string[] = own): Owners => ({
  ...{ packages: own, siblings },
});

const here: Here = {
  tools: [tool('gcc', 'gcc 12'), tool('make', 'make 4.3'), tool('mine', '1')],
  packages: {
    ...{ gcc: '4:12-3', 'gcc-12': '12.2.0-14', 'cpp-12': '12.2.0-14', 'g++-12': '12.2.0-14' },
    ...{ make: '4.3-4.1', 'libc6-dev': '2.36-9', libc6: '2.36-9', 'linux-libc-dev': '6.1.187-1' },
  },
  database: 'dpkg',
  owners: new Map([
    ['gcc', owners(['gcc', 'gcc-12'], ['gcc', 'gcc-12', 'cpp-12', 'g++-12'])],
    ['make', owners(['make'])],
    ['mine', owners([])],
    ['libc6-dev', owners(['libc6-dev'], ['libc6-dev', 'libc6', 'locales'])],
    ['linux-libc-dev', owners(['linux-libc-dev'])],
  ]),
};
const same: There = {
  ...{ tools: [tool('gcc', 'gcc 12'), tool('make', 'make 4.3')], managers: ['apt-get'] },
  packages: { ...here.packages, 'linux-libc-dev': '6.1.170-1' },
};
const unlocked: Locks = toolchainShape.parse({});

const plan = (there: Partial<There>, locks = unlocked, on = here): CppPlan =>
  cppPlan({ here: on, there: { ...same, ...there }, locks });

const last = ({ steps }: CppPlan): (string | undefined)[] =>
  steps.map(({ script }) =>
    script
      .split('\n')
      .at(-1)
      ?.replace(/^.*Timeout=60 /, ''),
  );

describe('C and C++', () => {
  it('are left alone where versions are the same, or the worker never had the tool', () => {
    expect(plan({})).toEqual({ steps: [], drifting: [], notes: [] });
    expect(plan({ tools: [] }).drifting).toEqual([]);
  });

  it('get the packages of this machine, with those built together with them', () => {
    const packages = { ...same.packages, 'gcc-12': '12.3.0-1', 'cpp-12': '12.3.0-1' };
    const drifted = plan({ tools: [tool('gcc', 'gcc 12.3')], packages });
    expect(drifted.drifting).toEqual(['gcc']);
    expect(last(drifted)).toEqual(['--allow-downgrades gcc-12=12.2.0-14 cpp-12=12.2.0-14']);
    expect(spawnSync('sh', ['-n'], { input: drifted.steps[0]?.script }).status).toBe(0);
  });

  it('do not gain what they never had, but the package of the tool itself', () => {
    const packages = { 'cpp-12': '12.3.0-1', gcc: '4:12-3' };
    const drifted = plan({ tools: [tool('gcc', 'gcc 13')], packages });
    expect(last(drifted)).toEqual(['--allow-downgrades gcc-12=12.2.0-14 cpp-12=12.2.0-14']);
  });

  it('get headers too, which are never set back', () => {
    const packages = { ...same.packages, 'libc6-dev': '2.36-8', libc6: '2.36-8' };
    const drifted = plan({ packages });
    expect(drifted.steps.map(({ id }) => id)).toEqual(['headers']);
    expect(last(drifted)).toEqual(['libc6-dev=2.36-9 libc6=2.36-9']);
    const older = { ...same.packages, 'linux-libc-dev': '5.10.1-1' };
    expect(last(plan({ packages: older }))).toEqual(['linux-libc-dev=6.1.187-1']);
  });

  it.each<[string, Partial<There>, string]>([
    [
      'another database',
      { managers: ['dnf'] },
      'make: packages are kept by rpm there and by dpkg here, so no version is the same',
    ],
    ['no package manager', { managers: [] }, 'make: it has none of apt-get'],
    [
      'the same package, and another tool before it',
      { packages: here.packages },
      'make: its package make is the same there, so another make is first on its PATH',
    ],
  ])('say why nothing can be done: %s', (_, of, note) => {
    const drifted = plan({ tools: [tool('make', 'make 4.4')], ...of });
    expect(drifted.steps).toEqual([]);
    expect(drifted.notes[0]).toContain(note);
  });

  it('say so of a tool that no package owns here, and of a manager without versions', () => {
    const mine = plan({ tools: [tool('mine', '2')] });
    expect(mine.notes).toEqual([
      'mine: no package owns it here, so its version cannot be had elsewhere',
    ]);
    const arch = plan({ tools: [tool('make', '5')], managers: ['pacman'] }, unlocked, {
      ...{ ...here, database: 'pacman' },
    });
    expect(arch.notes[0]).toContain('pacman has the newest version alone');
  });

  it('are pinned as each manager writes it', () => {
    const on: Here = {
      ...here,
      ...{ database: 'rpm', packages: { 'make.x86_64': '4.3-7.fc38' } },
      owners: new Map([['make', owners(['make.x86_64'])]]),
    };
    const there = { tools: [tool('make', '4.4')], packages: { 'make.x86_64': '4.4-1.fc39' } };
    const words = (manager: There['managers'][number]): string | undefined =>
      last(plan({ ...there, managers: [manager] }, unlocked, on))[0];
    expect(words('dnf')).toBe('dnf install -y make-4.3-7.fc38.x86_64');
    expect(words('zypper')).toBe(
      'zypper --non-interactive install --oldpackage make.x86_64=4.3-7.fc38',
    );
  });

  it('are told before and after', () => {
    const sides = {
      here: here.tools,
      before: [tool('make', '4.4')],
      after: [tool('make', 'make 4.3')],
    };
    expect(rowsOf(sides, ['make', 'gcc'])).toEqual([
      { name: 'make', here: 'make 4.3', before: '4.4', after: 'make 4.3', same: true },
      { name: 'gcc', here: 'gcc 12', before: '', after: '', same: false },
    ]);
  });
});

describe('toolchain.toml', () => {
  const set = (text: Readonly<Record<string, Record<string, unknown>>>): ToolchainFile =>
    toolchainShape.parse(camelKeys(text));
  const rust = { toolchain: 'stable', version: 'rustc 1.95.0 (x)', name: '1.95.0' };
  const asked = (locks: ToolchainFile): unknown => [
    plan({}, locks),
    lockedName(locks.rust),
    rustupStep({ ...rust, components: locks.rust.components }).script,
  ];

  /** What each key is set to, with what it needs beside it. */
  const values: Readonly<Record<string, Record<string, unknown>>> = {
    'rust.channel': { channel: 'nightly' },
    'rust.date': { channel: 'nightly', date: '2026-01-15' },
    'rust.components': { components: ['clippy'] },
    'cpp.gcc_version': { gcc_version: '14' },
    'cpp.clang_version': { clang_version: '19' },
    'caching.rustc_wrapper': { rustc_wrapper: 'sccache' },
    'caching.cc_wrapper': { cc_wrapper: 'ccache' },
  };

  it.each(settingsIn(toolchainShape).map(({ name }) => name))(
    '%s changes what goes there',
    (name) => {
      const [section = '', key = ''] = name.split('.');
      const table = { ...values[name] };
      const beside = Object.fromEntries(Object.entries(table).filter(([each]) => each !== key));
      expect(asked(set({ [section]: table }))).not.toEqual(asked(set({ [section]: beside })));
    },
  );

  it('brings versions by the names that the manager has for them', () => {
    const locks = set({
      cpp: { gcc_version: '14', clang_version: '19' },
      caching: { cc_wrapper: 'ccache' },
    });
    expect(last(plan({}, locks))).toEqual(
      ['gcc-14 g++-14 clang-19 ccache'].map((each) => `--allow-downgrades ${each}`),
    );
    expect(plan({}, locks).notes).toContain(
      'gcc-14: this machine has none, so nothing here can use that of a worker',
    );
    expect(plan({ managers: ['dnf'] }, locks).notes[0]).toBe('gcc-14: dnf has no package for it');
  });

  it('is checked, with line and column', () => {
    const problems = checkText(
      'f',
      '[cpp]\ngcc_version = 14\n[rust]\nchanel = "x"\n',
      toolchainShape,
    );
    expect(problems.map(({ line, key, message }) => [line, key, message])).toEqual([
      [2, 'cpp.gcc_version', 'must be a string'],
      [4, 'rust.chanel', 'there is no such key; did you mean "channel"?'],
    ]);
    const alone = checkText('f', '[rust]\ndate = "2026-01-15"\n', toolchainShape);
    expect(alone[0]?.message).toBe('a date needs a channel');
  });
});

describe('Rust', () => {
  it.each([
    ['stable-x86_64-unknown-linux-gnu', 'rustc 1.95.0 (59807616e 2026-04-14)', '1.95.0'],
    ['nightly-x86_64-unknown-linux-gnu', 'rustc 1.97.0-nightly (abc 2026-05-01)', 'nightly'],
    [null, 'rustc 1.80.1 (Debian)', '1.80.1'],
  ])('%s of %s is asked for as %s elsewhere', (toolchain, version, name) => {
    expect(nameFor(toolchain, version)).toBe(name);
  });

  it('names components that are not there', () => {
    const list = 'rustc-x86_64-unknown-linux-gnu\nclippy-preview-x86_64-unknown-linux-gnu\n';
    expect(lackingComponents(list, ['clippy', 'rustc', 'rust-src'])).toEqual(['rust-src']);
  });

  it('is installed by rustup in scripts that sh understands', () => {
    const rust = { toolchain: null, version: '', name: "a'b", components: ['clippy'] };
    for (const input of [rustupStep(rust).script, rustupQuery(rust.name)])
      expect(spawnSync('sh', ['-n'], { input }).status).toBe(0);
    expect(rustupStep(rust)).toMatchObject({ root: false });
  });
});

describe('packages of this machine', () => {
  it.skipIf(!existsSync('/usr/bin/dpkg-query'))('are known by the programs in them', async () => {
    const tools = [
      { name: 'dpkg', path: '/usr/bin/dpkg' },
      { name: 'none', path: '/no/such' },
    ];
    const found = await ownersOf(tools, ['dpkg'], 'dpkg');
    expect(found.get('dpkg')).toMatchObject({ packages: ['dpkg'] });
    expect(found.get('none')).toEqual({ packages: [], siblings: [] });
  });

  it('belong together by what they were built from', () => {
    expect([...parseSources('a\tx\nb\tx\nc\ty\n')]).toEqual([
      ['a', 'x'],
      ['b', 'x'],
      ['c', 'y'],
    ]);
    expect([...parseSources('P a\no x\nP b\no x\n')]).toEqual([
      ['a', 'x'],
      ['b', 'x'],
    ]);
  });
});
