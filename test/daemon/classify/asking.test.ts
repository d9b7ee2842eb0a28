import { expect, test } from 'vitest';
import { asking } from '../../../src/base/asking.ts';
import { classify } from '../../../daemon/classify/classify.ts';
import { requestOf } from './request-of.ts';

/** The launcher sends none of these anywhere, and takes no lease for them: nor would the whole classification. */
test.each([
  [
    asking.any,
    ['cargo', 'rustc', 'gcc', 'g++-12', 'cc', 'clang', 'make', 'ninja', 'cmake', 'meson'],
  ],
  [asking.rust, ['cargo', 'rustc']],
  [asking.compiler, ['gcc', 'c++', 'x86_64-linux-gnu-gcc-12', 'clang++-19']],
] as const)('%j only ask', (words, tools) => {
  for (const word of words)
    for (const tool of tools) {
      const verdict = classify(requestOf([tool, word]), () => undefined);
      expect([tool, word, verdict]).toMatchObject([tool, word, { kind: 'local', weight: 'light' }]);
    }
});

test.each([
  ['gcc', '-c', 'conftest.c'],
  ['g++-12', '-o', 'conftest', 'conftest.cpp', '-lm'],
  ['cc', '-o', 'conftest', '-g', 'sub/conftest.c', 'conftest.o'],
  ['clang', '-E', 'conftest.c'],
  ['gcc', 'conftest.o', '-shared'],
])('%s %s %s: %# gains nothing elsewhere, whoever decides', (...argv) => {
  const verdict = classify(requestOf(argv), () => undefined);
  expect(verdict.kind === 'local' || verdict.tooSmall !== undefined).toBe(true);
});
