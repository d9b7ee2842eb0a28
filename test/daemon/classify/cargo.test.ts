import { describe, expect, it } from 'vitest';
import { classify } from '../../../daemon/classify/classify.ts';
import { requestOf, words } from './request-of.ts';

const verdictOf = (line: string, env: Record<string, string> = {}): ReturnType<typeof classify> =>
  classify(requestOf(words(line), { env }));

function cargoFacts(line: string, env: Record<string, string> = {}) {
  const verdict = verdictOf(line, env);
  if (verdict.kind === 'local' || verdict.family !== 'cargo')
    throw new Error(`${line}: ${JSON.stringify(verdict)}`);
  return verdict;
}

describe('cargo', () => {
  it.each([
    ['cargo build', 'cargo build'],
    ['cargo b --release', 'cargo build'],
    ['cargo c', 'cargo check'],
    ['cargo check --all-targets --message-format=json', 'cargo check'],
    ['cargo clippy -- -D warnings', 'cargo clippy'],
    ['cargo t name_of_test -- --nocapture', 'cargo test'],
    ['cargo bench', 'cargo bench'],
    ['cargo d --no-deps', 'cargo doc'],
    ['cargo rustc --lib -- -C opt-level=3', 'cargo rustc'],
    ['cargo rustdoc', 'cargo rustdoc'],
    ['cargo nextest run -E test(foo)', 'cargo nextest'],
    ['cargo r --bin x -- --verbose', 'cargo run'],
    ['cargo +nightly -q --color never --config net.offline=true build', 'cargo build'],
    ['cargo --locked --offline build', 'cargo build'],
    ['cargo -Z unstable-options -C sub build', 'cargo build'],
    ['cargo -v build -vv', 'cargo build'],
  ])('%s may run elsewhere', (line, command) => {
    const verdict = verdictOf(line);
    expect(verdict).toMatchObject({ kind: 'candidate', command });
  });

  it.each(
    (
      'install uninstall publish login logout owner yank update add remove generate-lockfile vendor fetch init new ' +
      'fmt fix clean cache watch metadata tree search locate-project package pkgid version help miri unknown-thing ' +
      'config report'
    ).split(' '),
  )('cargo %s stays here with a reason', (name) => {
    const verdict = verdictOf(`cargo ${name}`);
    expect(verdict.kind).toBe('local');
    if (verdict.kind === 'local') expect(verdict.reason).toContain(name);
  });

  it.each([
    'cargo',
    'cargo --version',
    'cargo -V',
    'cargo --list',
    'cargo --explain E0308',
    'cargo build --help',
    'cargo build -h',
    'cargo test -h',
    'cargo nextest list',
    'cargo -Zunstable-options build --unit-graph',
  ])('%s is a light question', (line) => {
    expect(verdictOf(line)).toMatchObject({ kind: 'local', weight: 'light' });
  });

  it.each([
    'cargo clippy --fix',
    'cargo doc --open',
    'cargo run -- --serve',
    'cargo run -- --listen=0.0.0.0',
    'cargo run --release -- -s',
    'cargo install ripgrep',
    'cargo nextest run --archive-file x.tar.zst',
  ])('%s stays here and is heavy', (line) => {
    expect(verdictOf(line)).toMatchObject({ kind: 'local', weight: 'heavy' });
  });

  it('reads what decides where and how much', () => {
    const facts = cargoFacts(
      'cargo +1.80 -C sub test --manifest-path m/Cargo.toml --target-dir=t --target a -Fx -j4 -p one -pt --bin two --features y,z --no-default-features --profile fast --locked -- --ignored',
    );
    expect(facts).toMatchObject({
      toolchain: '1.80',
      directory: '/work/project/sub',
      manifestPath: 'm/Cargo.toml',
      targetDir: 't',
      targets: ['a'],
      cores: 4,
      packages: ['one', 't'],
      named: [{ type: 'bin', name: 'two' }],
      features: { named: ['x', 'y,z'], all: false, noDefault: true },
      profile: 'fast',
      locked: true,
      offline: false,
      rest: ['--ignored'],
    });
  });

  it('does not take the arguments of the program for options of cargo run', () => {
    expect(cargoFacts('cargo run -- --help').rest).toEqual(['--help']);
    expect(cargoFacts('cargo run file --release').profile).toBeUndefined();
    expect(cargoFacts('cargo run --release file').profile).toBe('release');
  });

  it('takes cores from the environment, and no bound from words that are no number', () => {
    expect(cargoFacts('cargo build', { CARGO_BUILD_JOBS: '3' }).cores).toBe(3);
    expect(cargoFacts('cargo build -j default').cores).toBeUndefined();
    expect(cargoFacts('cargo build -j -1').cores).toBeUndefined();
  });

  it('expands aliases of the configuration, and judges what they stand for', () => {
    const aliases = (name: string): readonly string[] | undefined =>
      ({
        bb: ['build', '--release'],
        pub: ['publish'],
        loop: ['loop'],
        xt: ['run', '-p', 'xt', '--'],
      })[name];
    const of = (line: string) => classify(requestOf(words(line)), aliases);
    expect(of('cargo bb -j2')).toMatchObject({
      command: 'cargo build',
      profile: 'release',
      cores: 2,
    });
    expect(of('cargo pub')).toMatchObject({ kind: 'local' });
    expect(of('cargo loop')).toMatchObject({ kind: 'local' });
    expect(of('cargo xt ci')).toMatchObject({ command: 'cargo run', rest: ['ci'] });
  });

  it('cannot be tricked by an alias named as a built-in command', () => {
    const aliases = (): readonly string[] => ['build'];
    expect(classify(requestOf(['cargo', 'publish']), aliases).kind).toBe('local');
  });
});
