import { describe, expect, it } from 'vitest';
import { classify } from '../../../daemon/classify/classify.ts';
import { requestOf, words } from './request-of.ts';

const verdictOf = (line: string, env: Record<string, string> = {}): ReturnType<typeof classify> =>
  classify(requestOf(words(line), { env }));

describe('make', () => {
  it.each([
    ['make', { cores: 1, directory: '/work/project', targets: [] }],
    ['make -j8 all', { cores: 8, targets: ['all'] }],
    ['make -j 8', { cores: 8, targets: [] }],
    ['make -j', { cores: undefined, targets: [] }],
    ['make --jobs=3', { cores: 3 }],
    ['make -kj4 check', { cores: 4, targets: ['check'] }],
    ['make -C sub -C below', { directory: '/work/project/sub/below' }],
    [
      'make -Csub CC=clang',
      { directory: '/work/project/sub', variables: new Map([['CC', 'clang']]) },
    ],
    ['make -f other.mk', { files: ['other.mk'] }],
    ['gmake V=1 CFLAGS+=-g test', { targets: ['test'] }],
    ['make -I inc --include-dir=more', { folders: ['inc', 'more'] }],
    ['make -Oline -l 2.5 x', { targets: ['x'] }],
    ['make -- -weird', { targets: ['-weird'] }],
  ])('%s may run elsewhere', (line, facts) => {
    expect(verdictOf(line)).toMatchObject({ kind: 'candidate', command: 'make', ...facts });
  });

  it.each([
    '-n',
    '--just-print',
    '--dry-run',
    '--recon',
    '-q',
    '-p',
    '-t',
    '--touch',
    '-v',
    '--version',
    '-h',
    '--help',
    '-kn',
    '-f -',
    '--file=-',
    'clean',
    'distclean',
    'mrproper',
    'install',
    'install-strip',
    'uninstall',
    'help',
    'menuconfig',
    'oldconfig',
    'tags',
    'run',
    'clean all',
  ])('make %s stays here', (tail) => {
    expect(verdictOf(`make ${tail}`).kind).toBe('local');
  });

  it('hears what a make above it was asked', () => {
    expect(verdictOf('make sub', { MAKEFLAGS: 'n' }).kind).toBe('local');
    expect(verdictOf('make sub', { MAKEFLAGS: 'kq -j4' }).kind).toBe('local');
    expect(verdictOf('make sub', { MAKEFLAGS: ' -j4 --jobserver-auth=3,4' })).toMatchObject({
      cores: 4,
    });
    expect(verdictOf('make sub', { MAKEFLAGS: 'w -- CC=n' }).kind).toBe('candidate');
  });
});

describe('ninja', () => {
  it.each([
    ['ninja', { cores: undefined, directory: '/work/project' }],
    ['ninja -C out -j6 all', { cores: 6, directory: '/work/project/out', targets: ['all'] }],
    ['ninja -Cout -v -k 0 -d explain', { directory: '/work/project/out', targets: [] }],
  ])('%s may run elsewhere', (line, facts) => {
    expect(verdictOf(line)).toMatchObject({ kind: 'candidate', command: 'ninja', ...facts });
  });
  it.each([
    'ninja -t clean',
    'ninja -n',
    'ninja --version',
    'ninja -h',
    'ninja -d list',
    'ninja install',
    'ninja -C x clean',
  ])('%s stays here', (line) => {
    expect(verdictOf(line).kind).toBe('local');
  });
});

describe('cmake', () => {
  it.each([
    ['cmake --build .', { cores: undefined, directory: '/work/project' }],
    [
      'cmake --build b -j 4 --target x y',
      { cores: 4, directory: '/work/project/b', targets: ['x', 'y'] },
    ],
    ['cmake --build b -j4 -t x', { cores: 4, targets: ['x'] }],
    ['cmake --build b --parallel --config Release', { cores: undefined }],
    ['cmake --build b --parallel=3 -- -k', { cores: 3 }],
    ['cmake --build b -- -j5', { cores: 5 }],
    ['cmake --build b -- -v -k 0 x', { targets: ['x'] }],
    ['cmake --build b -- -d explain x', { targets: ['x'] }],
    ['cmake --build b -- -dstats x', { targets: ['x'] }],
    ['cmake --build b -- stats', { targets: ['stats'] }],
    ['cmake --build b -- -v explain -d stats keeprsp', { targets: ['explain', 'keeprsp'] }],
    ['cmake --build b -t y -- CC=clang VERBOSE=1', { targets: ['y'] }],
    ['cmake --build b --config Release', { files: ['build-Release.ninja'] }],
    ['cmake --build b --config=Debug', { files: ['build-Debug.ninja'] }],
    ['cmake --build --preset x -j3', { directory: '/work/project', preset: 'x', cores: 3 }],
  ])('%s may run elsewhere', (line, facts) => {
    expect(verdictOf(line)).toMatchObject({ kind: 'candidate', command: 'cmake build', ...facts });
  });
  it.each([
    'cmake .',
    'cmake -S . -B b',
    'cmake -E touch x',
    'cmake --install b',
    'cmake -P s.cmake',
    'cmake --version',
    'cmake --build b --target install',
    'cmake --build b -t clean',
    'cmake --build b --target help',
    'cmake --build --list-presets',
    'cmake --build --preset x --target install',
    'cmake --build',
    'cmake --build b -- -n',
    'cmake --build b -- install',
    'cmake --build b -- -k install',
    'cmake --build b -- -C other',
    'cmake --open b',
    'cmake --help',
  ])('%s stays here', (line) => {
    expect(verdictOf(line).kind).toBe('local');
  });
});

describe('meson', () => {
  it.each([
    ['meson compile', { directory: '/work/project' }],
    ['meson compile -C b -j 2 x', { directory: '/work/project/b', cores: 2, targets: ['x'] }],
    ["meson compile --ninja-args=['-v','x']", { targets: ['x'] }],
  ])('%s may run elsewhere', (line, facts) => {
    expect(verdictOf(line)).toMatchObject({
      kind: 'candidate',
      command: 'meson compile',
      ...facts,
    });
  });
  it.each([
    'meson',
    'meson setup b',
    'meson test',
    'meson install',
    'meson configure',
    'meson compile --clean',
    'meson compile --ninja-args=-v,install',
    'meson --version',
  ])('%s stays here', (line) => {
    expect(verdictOf(line).kind).toBe('local');
  });
});

describe('rustc', () => {
  it('may compile elsewhere', () => {
    expect(
      verdictOf(
        'rustc +nightly --crate-type bin -L dependency=target/deps --extern a=liba.rlib -lz --out-dir out -C target-cpu=native m.rs',
      ),
    ).toMatchObject({
      kind: 'candidate',
      toolchain: 'nightly',
      inputs: ['m.rs', 'liba.rlib'],
      folders: ['target/deps', 'out'],
      libraries: ['z'],
      nativeCpu: true,
      links: true,
    });
  });
  it.each([
    'rustc',
    'rustc --version',
    'rustc -vV',
    'rustc --print cfg',
    'rustc --print=sysroot',
    'rustc --explain E0001',
    'rustc - --crate-name x',
    'rustc -C help',
    'rustc @args',
    'rustc m.rs -o -',
  ])('%s stays here', (line) => {
    expect(verdictOf(line)).toMatchObject({ kind: 'local', weight: 'light' });
  });
});
