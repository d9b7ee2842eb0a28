import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { cpuFlags, isNative } from '../../../daemon/plan/needs/cpu.ts';
import type { Plan } from '../../../daemon/plan/types.ts';
import { folderWith, has, machine, newContext, planned, put } from './world.ts';

/** What the plan asks of a worker's CPU. */
function cpuOf(plan: Plan): string[] {
  return plan.requirements.flatMap(({ kind }) =>
    kind === 'cpu' || kind === 'instructions' ? [kind] : [],
  );
}

describe('flags for some CPUs', () => {
  it.each([
    ['-O2 -march=native', ['-march=native']],
    ['CFLAGS="-mtune=native"', ['-mtune=native']],
    ['.flag("-mcpu=native")', ['-mcpu=native']],
    ['-Ctarget-cpu=haswell', ['target-cpu=haswell']],
    ['-C target-feature=+avx2,+fma', ['target-feature=+avx2,+fma']],
    ['-march=x86-64-v3 -mavx2 -msse4.2', ['-march=x86-64-v3', '-mavx2', '-msse4.2']],
    ['-march=$arch', ['-march=$arch']],
  ])('are found in %s', (text, flags) => {
    expect(cpuFlags(text)).toEqual(flags);
  });

  it.each([
    '-mtune=haswell -m64 -msse2 -mno-avx2 -mcmodel=large -march=x86-64',
    '-Ctarget-feature=+crt-static -Ctarget-feature=-avx2 -Ctarget-cpu=generic -Ztune-cpu=haswell',
    'x-mavx2 no-march=native --mavx2',
  ])('are not seen in %s', (text) => {
    expect(cpuFlags(text)).toEqual([]);
  });

  it('are for the CPU at hand by that word, or perhaps when it stands elsewhere', () => {
    expect(isNative('-march=native')).toBe(true);
    expect(isNative('-march=haswell', true)).toBe(false);
    expect(isNative('-march=$arch')).toBe(false);
    expect(isNative('-march=$arch', true)).toBe(true);
  });
});

const source = { 'x.c': 'int main(void){return 0;}\n' };
const ninja = (flags: string): string =>
  `rule cc\n  command = gcc ${flags} -o $out $in\nbuild x: cc x.c\n`;

describe.skipIf(!has('make') || !has('gcc') || !has('ninja'))('make and ninja', () => {
  it.each([
    ['make', { Makefile: 'x: x.c\n\tgcc -march=native -o x x.c\n' }, {}, ['cpu']],
    ['make', { Makefile: 'A = native\nx: x.c\n\tgcc -march=$(A) -o x x.c\n' }, {}, ['cpu']],
    ['make', { Makefile: 'x: x.c\n\tgcc -mavx2 -o x x.c\ntest: x\n\t./x\n' }, {}, ['instructions']],
    ['make', { Makefile: 'x: x.c\n\tgcc $(F) -o x x.c\n' }, { F: '-mavx' }, ['instructions']],
    ['make', { Makefile: 'x: x.c\n\tgcc -mtune=haswell -o x x.c\n' }, {}, []],
    ['ninja', { 'build.ninja': ninja('-march=native') }, {}, ['cpu']],
    ['ninja', { 'build.ninja': ninja('-march=haswell') }, {}, ['instructions']],
    ['ninja', { 'build.ninja': ninja('-O2') }, {}, []],
  ])('%s: %j with %j asks for %j', async (tool, files, env, asks) => {
    const cwd = folderWith({ ...files, ...source });
    expect(cpuOf(await planned(tool, { cwd, env }))).toEqual(asks);
  });
});

const manifest = '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n';

function crate(files: Record<string, string> = {}): string {
  const cwd = folderWith({ 'Cargo.toml': manifest, 'src/main.rs': 'fn main() {}\n', ...files });
  execFileSync('cargo', ['generate-lockfile', '--offline', '--quiet'], { cwd });
  return cwd;
}

const host = `${machine.arch}-unknown-linux-gnu`;
const haswell = { RUSTFLAGS: '-Ctarget-cpu=haswell' };
type Case = readonly [line: string, env: Record<string, string>, asks: readonly string[]];

async function holds(cwd: string, cases: readonly Case[]): Promise<void> {
  const context = newContext();
  for (const [line, env, asks] of cases)
    expect(cpuOf(await planned(line, { cwd, env, context })), JSON.stringify([line, env])).toEqual(
      asks,
    );
}

describe.skipIf(!has('cargo'))('cargo', () => {
  it('asks for instructions where a test would use them', async () => {
    await holds(crate(), [
      ['cargo build', haswell, []],
      ['cargo run', haswell, []],
      ['cargo build', { CFLAGS: '-march=native' }, []],
      ['cargo test', haswell, ['instructions']],
      [`cargo test --target ${host}`, haswell, ['instructions']],
      ['cargo bench', { RUSTFLAGS: '-C target-feature=+avx2' }, ['instructions']],
    ]);
  });

  it('asks for them where a build script would, or C that one compiles', async () => {
    await holds(crate({ 'build.rs': 'fn main() {}\n' }), [
      ['cargo build', haswell, ['instructions']],
      [`cargo build --target ${host}`, haswell, []],
      ['cargo build', { CFLAGS: '-mavx2' }, ['instructions']],
      ['cargo build', { CFLAGS: '-march=native' }, ['cpu']],
      ['cargo check', { HOST_CFLAGS: '-mtune=native' }, ['cpu']],
      ['cargo build', { TARGET_CXXFLAGS: '-mcpu=native' }, ['cpu']],
      ['cargo build', { [`CXXFLAGS_${host}`]: '-march=native' }, ['cpu']],
      ['cargo build', { [`CFLAGS_${host.replaceAll('-', '_')}`]: '-march=native' }, ['cpu']],
    ]);
  });

  it('reads the variables of its configuration', async () => {
    const cwd = crate({ 'build.rs': 'fn main() {}\n' });
    for (const [value, asks] of [
      ['"-O2"', []],
      ['"-march=native"', ['cpu']],
      ['{ value = "-mtune=native", force = true }', ['cpu']],
    ] as const) {
      put(cwd, { '.cargo/config.toml': `[env]\nCFLAGS = ${value}\n` });
      await holds(cwd, [['cargo build', {}, asks]]);
    }
  });

  it('reads build scripts', async () => {
    const cwd = crate();
    for (const [flag, asks] of [
      ['b.flag("-march=native");', ['cpu']],
      ['b.flag("-mavx2");', ['instructions']],
      ['\n// -march=native', []],
    ] as const) {
      put(cwd, { 'build.rs': `fn main() { ${flag}\n }\n` });
      await holds(cwd, [['cargo test', {}, asks]]);
    }
  });
});
