import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify } from '../../../../daemon/classify/classify.ts';
import { disguises, lineOf } from './rig.ts';
import { requestOf } from '../request-of.ts';

/** The plan's list (5.2), and what else the README promises. */
const never = [
  ...['watch', 'install x', 'uninstall x', 'publish', 'login', 'logout', 'owner', 'yank', 'update'],
  ...[
    'add x',
    'remove x',
    'rm x',
    'generate-lockfile',
    'vendor',
    'fetch',
    'init',
    'new x',
    'fmt',
    'fix',
  ],
  ...[
    'clean',
    'cache',
    'metadata',
    'tree',
    'search x',
    'locate-project',
    'clippy --fix',
    'doc --open',
  ],
  ...['run -- --serve', 'run -- --server', 'run -- --listen', 'run -- --daemon', 'run -- -s'],
].map((rest) => `cargo ${rest}`);
const others = [
  ...['gcc --version', 'gcc -v', 'clang --version', 'clang -v', 'make --version', 'make -v'],
  ...[
    'make clean',
    'make distclean',
    'make install',
    'make -n',
    'make menuconfig',
    'ninja -t clean',
  ],
  ...['ninja clean', 'cmake -S . -B b', 'cmake --install b', 'meson setup b', 'rustc --print cfg'],
  ...['cargo build --help', 'cargo -h', 'make --help', 'cargo --version', 'rustc -V'],
];
const neverLine = fc.constantFrom(...never, ...others);

const wrapping = fc.constantFrom(
  '',
  'sudo ',
  'sudo -u me A=1 ',
  'env ',
  'env -i X=y ',
  'time ',
  'nice -n 5 ',
  'ionice -c2 ',
  'strace -f ',
  'perf stat ',
  'taskset -c 0 ',
  'numactl -m 0 ',
  'timeout -k 1 5 ',
  'nohup ',
  'VAR=x ',
  'A=1 B="2 3" ',
  'command ',
  '! ',
);
const around = fc.constantFrom<(line: string) => string>(
  (line) => line,
  (line) => `ls && ${line}`,
  (line) => `${line} | grep x`,
  (line) => `{ ${line} 2>&1 > log & }`,
  (line) => `(${line})`,
  (line) => `{ ${line}; }`,
  (line) => `x=$(${line})`,
  (line) => `if true; then ${line}; fi`,
  (line) => `for i in 1 2; do ${line}; done`,
  (line) => `f() { ${line}; }; f`,
  (line) => `sh -c ${JSON.stringify(line).replaceAll('$', '\\$')}`,
);

describe('what is never remote', () => {
  it('is not, whatever wrapper, quoting or chain is around it', () => {
    const line = fc.record({
      line: neverLine,
      wrappers: fc.array(wrapping, { maxLength: 3 }),
      chains: fc.array(around, { maxLength: 2 }),
      inHereDocument: fc.boolean(),
      quoting: fc.array(fc.constantFrom(...disguises), { minLength: 4, maxLength: 4 }),
    });
    const property = fc.property(line, ({ line, wrappers, chains, inHereDocument, quoting }) => {
      const disguised = line
        .split(' ')
        .map((word, at) => quoting[at]?.(word) ?? word)
        .join(' ');
      // `!` stands before a pipeline, not after a wrapper.
      const front = wrappers.filter((each, at) => at === 0 || each !== '! ').join('');
      const chained = chains.reduce((text, chain) => chain(text), front + disguised);
      const whole = inHereDocument ? `cat <<E\n$(${chained})\nE` : chained;
      const reply = lineOf(whole);
      expect(reply.commands.filter(({ verdict }) => verdict !== 'here')).toEqual([]);
      expect(reply.wrap, whole).toBe(false);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('is not for a shim either', () => {
    for (const line of [...never, ...others])
      expect(classify(requestOf(line.split(' '))).kind, line).toBe('local');
  });
});

const operators = fc.constantFrom(
  '&&',
  '||',
  ';',
  '|',
  '&',
  '>',
  '<',
  '$(make)',
  '`make`',
  '\n',
  '(',
  ')',
);
const quotings = fc.constantFrom<(text: string) => string>(
  (text) => `'${text}'`,
  (text) => `"${text.replace(/[$`\\]/g, '\\$&')}"`,
  (text) => `$'${text.replace(/\n/g, '\\n')}'`,
);

describe('a quoted operator', () => {
  it('is not an operator', () => {
    const property = fc.property(
      fc.array(operators, { minLength: 1, maxLength: 4 }),
      quotings,
      (list, quote) => {
        const text = list.join(' make ');
        const { commands, tiers } = lineOf(`ls ${quote(text)}`);
        expect(commands.map((command) => command.words)).toEqual([['ls', text]]);
        expect(tiers[1]?.reason).toBe('1 simple command');
      },
    );
    fc.assert(property, { numRuns: 150 });
  });
});

const fragment = fc.constantFrom(
  ...[
    'make',
    'cargo build',
    ' ',
    '\n',
    '"',
    "'",
    '`',
    '$(',
    ')',
    '(',
    '{',
    '}',
    '<<E',
    'E',
    '&&',
    '||',
  ],
  ...[
    ';',
    '|',
    '&',
    '>',
    '<',
    '\\',
    '#',
    '$',
    '${',
    '$((',
    '[[',
    'if',
    'then',
    'fi',
    'for',
    'do',
    'done',
  ],
  ...[
    'case',
    'esac',
    'sh -c ',
    'env -S ',
    'xargs ',
    'find -exec ',
    'eval ',
    '=',
    '\0',
    '\u00e9',
    '\ud800',
  ],
);

describe('any line', () => {
  it('gets an answer with a reason, whatever it is made of', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(fragment, { maxLength: 30 }).map((list) => list.join('')),
      fc.array(fragment, { maxLength: 12 }).map((list) => list.join(' ')),
    );
    const property = fc.property(text, (line) => {
      const reply = lineOf(line);
      expect(reply.reason).not.toBe('');
      for (const command of reply.commands) expect(command.reason).not.toBe('');
      const any = reply.commands.some(({ verdict }) => verdict !== 'here');
      if (any) expect(reply.wrap).toBe(true);
    });
    fc.assert(property, { numRuns: 800 });
  });

  it.each([
    'make "',
    '(',
    '$(',
    '`',
    '"$(',
    '<<a ',
    '{ ',
    'if ',
    'a&&',
    'f()',
    '${',
    '$((',
    '[[ ',
    '<(',
    'case a in ',
    'a=(',
    '@(',
    '\\',
    '\0',
    'make ',
    "sh -c '",
    'eval ',
    'env ',
    '<<a\nb\n',
    '{a,',
    '!',
    'x|',
    '=~ ',
  ])('is not read at any cost: a megabyte of %j', (piece) => {
    const line = piece.repeat(Math.ceil(1e6 / piece.length));
    const reply = lineOf(line);
    // What speaks of a build and cannot be read is wrapped; the limit of the test is its bound in time.
    if (line.includes('make')) expect(reply.wrap).toBe(true);
    expect(reply.reason).not.toBe('');
  });
});
