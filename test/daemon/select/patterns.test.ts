import { expect, test } from 'vitest';
import { fitting } from '../../../daemon/select/patterns.ts';

test.each<[string, string[], boolean]>([
  ['cargo build --release', ['cargo', 'build', '--release'], true],
  ['cargo build --release', ['cargo', 'build', '-p', 'x', '--release', '-v'], true],
  ['cargo build --release', ['cargo', 'build'], false],
  ['cargo build', ['cargo', 'test', 'build'], true],
  ['cargo build', ['cargo', '--release'], false],
  ['make', ['make', '-j8'], true],
  ['make', ['gmake'], false],
  ['make all*', ['make', 'allow'], true],
  ['*gcc -O3', ['arm-gcc', '-O3'], true],
  ['make a.b', ['make', 'axb'], false],
])('%s and %j: %s', (pattern, argv, fits) => {
  expect(fitting([pattern], argv[0] ?? '', argv)).toBe(fits ? pattern : undefined);
});
