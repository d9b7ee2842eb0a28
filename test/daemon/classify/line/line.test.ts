import { describe, expect, it, test } from 'vitest';
import { commandOf, contextOf, decidedBy, lineOf } from './rig.ts';
import { classifyLine } from '../../../../daemon/classify/line/line.ts';

/** The words of the commands of a line, each joined by spaces. */
const parts = (line: string): string[] =>
  lineOf(line).commands.map((command) => command.words.join(' '));

describe('tier 0 rejects at once', () => {
  it.each([
    ...[
      'cd sub',
      'ls -la',
      'cat Makefile',
      'head -1 x',
      'mkdir -p make',
      'rm -rf target',
      'cp gcc x',
    ],
    ...[
      'grep cargo x',
      'rg make',
      'sed s/gcc/cc/ x',
      'git commit -m "make it so"',
      'docker build .',
    ],
    ...['ssh host make', 'curl x', 'pip install cmake', 'npm run make', 'apt-get install make'],
    ...[
      'echo make',
      'export CC=gcc',
      'source env.sh',
      '. ./env',
      'which cargo',
      'env',
      'ps',
      'kill 1',
    ],
    ...['uname -a', 'vim Makefile', 'code CMakeLists.txt', 'nohup', 'rch exec -- make'],
    ...[
      'cargo --help',
      'cargo build --help',
      'make --version',
      'ninja -h',
      'rustc -V',
      'frob --version',
    ],
  ])('%s', (line) => {
    expect(decidedBy(commandOf(line))).toBe('here 0');
    expect(lineOf(line).wrap).toBe(false);
  });

  it('but not for what stands after --, which belongs to the program', () => {
    expect(decidedBy(commandOf('cargo test -- --help'))).toBe('candidate 4');
  });

  it('an empty line, and one of blanks', () => {
    for (const line of ['', ' \t\n'])
      expect(lineOf(line)).toMatchObject({ wrap: false, commands: [], tiers: [{ tier: 0 }] });
  });

  it('what the launcher answers by itself', () => {
    expect(commandOf('RCH_BYPASS=1 make').reason).toBe('RCH_BYPASS is set');
    expect(commandOf('env RCH_ENABLED=0 make').reason).toBe('RCH_ENABLED is off');
    expect(commandOf('RCH_BYPASS=0 make').verdict).toBe('candidate');
  });
});

describe('tier 1 takes the line apart', () => {
  it.each<[string, string[]]>([
    ['a && b; c | d', ['a', 'b', 'c', 'd']],
    ['a || b & c', ['a', 'b', 'c']],
    ['(cd x && make -j8)', ['cd x', 'make -j8']],
    ['{ make; }', ['make']],
    ['for f in *.c; do gcc -c "$f"; done', ['gcc -c "$f"']],
    ['while read f; do make $f; done < list', ['read f', 'make $f']],
    ['if make -q; then :; else make; fi', ['make -q', ':', 'make']],
    ['case $x in a) make;; b) ninja;; esac', ['make', 'ninja']],
    ['f() { make; }; f', ['make', 'f']],
    ['x=$(cargo build)', ['cargo build']],
    ['x=`cargo build`', ['cargo build']],
    ['echo "$(make)"', ['echo "$(make)"', 'make']],
    ['diff <(make a) <(make b)', ['diff <(make a) <(make b)', 'make a', 'make b']],
    ['cat <<E\nmake $(ninja)\nE', ['cat', 'ninja']],
    ["cat <<'E'\nmake $(ninja)\nE", ['cat']],
    ['make 2>&1 >log </dev/null', ['make']],
    ['! make', ['make']],
    ['make \\\n  all', ['make all']],
    ['make # && ninja', ['make']],
    ['[[ -f x ]] && make', ['make']],
    ['sh -c "make && ninja"', ['make', 'ninja']],
    ['bash -o pipefail -lc "make | cat"', ['make', 'cat']],
    ['eval make "all"', ['make all']],
    ["find . -name '*.c' -exec gcc -c {} \\;", ['gcc -c {}']],
    ['sh -c \'sh -c "make"\'', ['make']],
  ])('%s', (line, words) => {
    expect(parts(line)).toEqual(words);
  });

  it('keeps its features for the shell here, and wraps the line all the same', () => {
    const { tiers, wrap } = lineOf('(cargo build 2>&1 | tee log) && ./run &');
    expect(wrap).toBe(true);
    for (const feature of [
      'a pipeline',
      'a redirection',
      'a subshell',
      'a chain',
      'a background job',
    ])
      expect(tiers[1]?.reason).toContain(feature);
  });

  it.each<[string, string | null]>([
    ['cd sub && make', '/work/project/sub'],
    ['cd /x; cd y; make', '/x/y'],
    ['(cd sub); make', '/work/project'],
    ['cd a | make', '/work/project'],
    ['cd $x; make', null],
    ['cd -; make', null],
    ['sh -c "cd sub"; make', '/work/project'],
  ])('follows cd: %s', (line, cwd) => {
    const make = lineOf(line).commands.find((command) => command.words[0] === 'make');
    expect(make?.cwd).toBe(cwd);
  });

  it('wraps a line that it cannot read when it speaks of a build', () => {
    for (const line of ['if make', 'cargo build "', 'x "$(cargo', 'cc -c x.c "'])
      expect(lineOf(line).wrap, line).toBe(true);
    expect(lineOf('echo "').wrap).toBe(false);
  });
});

describe('tier 2 looks for a hint at a build', () => {
  it.each(['./a.out', 'python x.py', 'tsc -p .', 'success'])('%s has none', (line) => {
    expect(decidedBy(commandOf(line))).toBe('here 2');
  });

  it.each([
    ['cc -c x.c', 'candidate 4'],
    ['x86_64-linux-gnu-g++-12 -c x.cc', 'candidate 4'],
    ['python make.py', 'doubt 4'],
    ['just cmake', 'doubt 4'],
    ['./configure', 'doubt 4'],
    ['./build.sh', 'doubt 4'],
    ['bash build.sh', 'doubt 4'],
    ['$CC -c x.c', 'doubt 4'],
    ['bazel build //...', 'here 4'],
  ])('%s: %s', (line, decided) => {
    expect(decidedBy(commandOf(line))).toBe(decided);
  });
});

describe('tier 3 keeps what must not run elsewhere', () => {
  it.each([
    'strace -f -o log make',
    'ltrace make',
    'perf stat -e cycles make',
    'gdb --args cargo build',
    'valgrind cargo test',
  ])('%s looks at the process itself', (line) => {
    expect(commandOf(line)).toMatchObject({
      verdict: 'here',
      reason: expect.stringContaining('itself') as string,
    });
    expect(decidedBy(commandOf(line))).toBe('here 3');
  });

  it.each([
    ['cargo test', 'cargo +nightly t -p x', true],
    ['cargo test', 'cargo build', false],
    ['cargo build --release', 'cargo build --release', true],
    ['cargo build --release', 'cargo build', false],
    ['make docs', 'make -j8 docs', true],
    ['make docs', 'make docs2', false],
    ['make doc*', 'make docs2', true],
    ['gcc', '/usr/bin/gcc -c x.c', true],
    ['gcc', 'gcc-12 -c x.c', false],
    ['cc compile', 'gcc -c x.c', true],
    ['*', 'ninja', true],
  ])('classify.exclude = [%j]: %s', (pattern, line, kept) => {
    const command = commandOf(line, { rules: { exclude: [pattern] } });
    expect(decidedBy(command)).toBe(kept ? 'here 3' : 'candidate 4');
  });
});

describe('tier 4 is as sure as it says', () => {
  it.each([
    ['cargo build', 0.95],
    ['cargo build --release', 1],
    ['cargo run', 0.9],
    ['rustc x.rs', 0.9],
    ['gcc -c x.c', 0.9],
    ['gcc -O2 -c x.c', 0.95],
    ['clang++ -c x.cc', 0.9],
    ['make', 0.85],
    ['cmake --build build', 0.9],
    ['ninja -C out', 0.9],
    ['meson compile -C out', 0.9],
  ])('%s: %d', (line, confidence) => {
    expect(commandOf(line)).toMatchObject({ verdict: 'candidate', confidence });
  });

  it('keeps a command below the threshold here, and takes the user’s own confidence', () => {
    expect(commandOf('make', { rules: { confidenceThreshold: 0.9 } })).toMatchObject({
      verdict: 'here',
      confidence: 0.85,
    });
    const rules = { confidenceThreshold: 0.9, confidence: { make: 0.9 } };
    expect(commandOf('make', { rules }).verdict).toBe('candidate');
    expect(commandOf('cargo run', { rules: { confidence: { cargoRun: 0.5 } } }).verdict).toBe(
      'here',
    );
  });

  it('doubts what an expansion decides', () => {
    expect(decidedBy(commandOf('cargo $SUB'))).toBe('doubt 4');
    expect(decidedBy(commandOf('make $TARGET'))).toBe('candidate 4');
    expect(decidedBy(commandOf('cargo fmt $ARGS'))).toBe('here 3');
    expect(decidedBy(commandOf('sh -c "$X"'))).toBe('doubt 1');
  });

  it('follows cargo’s aliases', () => {
    const aliases = { ci: ['test', '--all'], deploy: ['publish'] };
    expect(decidedBy(commandOf('cargo ci', { aliases }))).toBe('candidate 4');
    expect(decidedBy(commandOf('cargo deploy', { aliases }))).toBe('here 3');
  });
});

describe('wrappers are taken off', () => {
  it.each<[string, string, string[]]>([
    ['sudo -u me -E FOO=1 make', 'make', ['sudo']],
    ['sudo --user=me make', 'make', ['sudo']],
    ['sudo --user me -- make', 'make', ['sudo']],
    ['env -i -u X A=1 B=2 make', 'make', ['env']],
    ['env -S "A=1 make -j8"', 'make -j8', ['env']],
    ['env FOO=1 gcc -S x.c', 'gcc -S x.c', ['env']],
    ['\\time -f %e -o log make', 'make', ['time']],
    ['time -p make', 'make', []],
    ['nice -n 5 make', 'make', ['nice']],
    ['nice -5 make', 'make', ['nice']],
    ['ionice -c2 -n 7 make', 'make', ['ionice']],
    ['strace -f -e trace=file -o x make', 'make', ['strace']],
    ['ltrace -o x make', 'make', ['ltrace']],
    ['perf stat -e cycles make', 'make', ['perf']],
    ['taskset -c 0-3 make', 'make', ['taskset']],
    ['taskset 0x3 make -j2', 'make -j2', ['taskset']],
    ['numactl --cpunodebind 0 -m 0 make', 'make', ['numactl']],
    ['timeout -s KILL 5m make', 'make', ['timeout']],
    ['nohup make', 'make', ['nohup']],
    ['setsid -w make', 'make', ['setsid']],
    ['stdbuf -oL make', 'make', ['stdbuf']],
    ['command make', 'make', ['command']],
    ['exec make', 'make', ['exec']],
    ['ccache gcc -c x.c', 'gcc -c x.c', ['ccache']],
    ['xargs -n 1 gcc -c', 'gcc -c {}', ['xargs']],
    ['FOO=1 BAR="a b" /usr/bin/make', 'make', []],
    [
      'sudo nice -n 5 env A=1 timeout 5 /usr/bin/cargo build',
      'cargo build',
      ['sudo', 'nice', 'env', 'timeout'],
    ],
    ['nice sh -c "timeout 5 make"', 'make', ['nice', 'sh', 'timeout']],
  ])('%s', (line, words, wrappers) => {
    expect(commandOf(line)).toMatchObject({ words: words.split(' '), wrappers });
  });

  it.each([
    'sudo -l',
    'command -v make',
    'taskset -p 1',
    'ionice -p 1',
    'env',
    'nice',
    'ccache -s',
  ])('%s runs no command', (line) => {
    expect(decidedBy(commandOf(line))).toBe('here 0');
  });

  it('keeps what they set', () => {
    expect(commandOf('A=1 env B=2 sh -c "C=3 make"').assignments.sort()).toEqual([
      'A=1',
      'B=2',
      'C=3',
    ]);
    expect(commandOf('MAKEFLAGS=n make')).toMatchObject({ verdict: 'here' });
  });

  it('does not take a program of the project for a tool', () => {
    expect(commandOf('./make').verdict).toBe('doubt');
  });
});

describe('the plan’s examples (5.1)', () => {
  it.each([
    'cargo build',
    'cargo build | grep warning',
    'cargo build 2>&1 | grep error',
    'cargo build &',
    'cargo build > log.txt',
    'lines=$(cargo build)',
    'cargo build && ./run',
  ])('%s is as safe for a shim as the command alone', (line) => {
    expect(lineOf(line)).toMatchObject({
      wrap: true,
      reason: expect.stringContaining('cargo build') as string,
    });
  });
});

test('a line needs no wrapping where the shims come before the tools', () => {
  const of = (PATH: string): boolean => lineOf('make', { env: { PATH } }).wrap;
  expect(of('/opt/rch/shims:/usr/bin:/bin')).toBe(false);
  expect(of('/home/me/venv/bin:/opt/rch/shims:/usr/bin')).toBe(false);
  expect(of('/usr/bin:/opt/rch/shims')).toBe(true);
  expect(of('/home/me/.cargo/bin:/opt/rch/shims:/usr/bin')).toBe(true);
  expect(of('/usr/bin')).toBe(true);
});

test('times are those of the clock that is passed in', () => {
  let now = 0;
  const reply = classifyLine('make', { ...contextOf(), clock: () => (now += 2) });
  const tiers = [...reply.tiers, ...(reply.commands[0]?.tiers ?? [])];
  expect(tiers.map(({ tier, micros }) => [tier, micros])).toEqual(
    [0, 1, 0, 2, 3, 4].map((tier) => [tier, 2]),
  );
});
