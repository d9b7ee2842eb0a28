import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keeps, LineFilter, type Filter } from '../../src/cli/line-filter.ts';

/** What a filter makes of chunks. */
async function through(filter: Filter, mark: string, chunks: readonly Buffer[]): Promise<Buffer> {
  const stream = Readable.from(chunks).pipe(new LineFilter(filter, () => Buffer.from(mark)));
  return Buffer.concat((await stream.toArray()) as Buffer[]);
}

describe('the filter of lines', () => {
  it('gives back every byte, whatever it is and however it is cut, where all lines are wanted', async () => {
    const pieces = fc.array(
      fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.constant(new Uint8Array([10]))),
    );
    await fc.assert(
      fc.asyncProperty(pieces, async (parts) => {
        const chunks = parts.filter((part) => part.length > 0).map((part) => Buffer.from(part));
        const whole = Buffer.concat(chunks);
        expect(await through('all', '', chunks)).toEqual(whole);
        const lines = whole
          .toString('latin1')
          .split(/(?<=\n)/)
          .filter((text) => text !== '');
        const marked = lines.map((text) => `[w] ${text}`).join('');
        expect((await through('all', '[w] ', chunks)).toString('latin1')).toBe(marked);
      }),
      { numRuns: 100 },
    );
  });

  it('decides by the words of a line, not by its colours, and keeps those', async () => {
    const red = '\u001b[0m\u001b[1m\u001b[38;5;9merror\u001b[0m\u001b[1m: no\u001b[0m\n';
    const cut = [...Buffer.from(`fine\n${red}  --> src/a.rs:1\nmore`)].map((byte) =>
      Buffer.from([byte]),
    );
    expect((await through('errors', '', cut)).toString()).toBe(`${red}  --> src/a.rs:1\n`);
  });

  it('keeps a last line without its end, and gives it none', async () => {
    expect((await through('errors', '> ', [Buffer.from('x\nerror: y')])).toString()).toBe(
      '> error: y',
    );
  });

  it('passes a line of any length on without holding it whole', async () => {
    const part = Buffer.alloc(600_000, 'x');
    const chunks = [Buffer.from('error: '), part, part, Buffer.from('\n'), part, part];
    const got = await through('errors', '', chunks);
    expect(got.length).toBe('error: \n'.length + 1_200_000);
  });

  const lines: Readonly<Record<Exclude<Filter, 'all'>, readonly string[]>> = {
    errors: [
      'error[E0308]: mismatched types',
      'warning: unused variable',
      "main.c:3:5: error: expected ';'",
      'make: *** [Makefile:2: all] Error 1',
      'FAILED: main.o',
      'main.c:(.text+0x5): undefined reference to `f`',
      'test a::b ... FAILED',
    ],
    summary: [
      '   Compiling app v0.1.0',
      '    Finished `dev` profile',
      'test result: ok. 3 passed',
      'ninja: no work to do.',
      '100% tests passed, 0 tests failed out of 3',
    ],
    progress: [
      '   Compiling app v0.1.0',
      '[ 50%] Building C object',
      '[3/9] cc main.c',
      ' 45% done',
    ],
  };
  it.each(Object.entries(lines))('%s', (name, wanted) => {
    for (const filter of ['errors', 'summary', 'progress'] as const)
      if (filter === name)
        for (const text of wanted) expect(keeps(filter, Buffer.from(`${text}\n`)), text).toBe(true);
    expect(keeps(name as Filter, Buffer.from('gcc -c main.c\n'))).toBe(false);
  });
});
