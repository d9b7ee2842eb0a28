import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify } from '../../../daemon/classify/classify.ts';
import type { Stream } from '../../../daemon/classify/request.ts';
import { Shared, StreamKind } from '../../../src/protocol/shim.ts';
import { requestOf } from './request-of.ts';

const file = (ino: bigint, flags: number): Stream => ({
  kind: StreamKind.file,
  dev: 1n,
  ino,
  flags,
});
const APPEND = 0o2000;

describe('what surrounds a command', () => {
  it('keeps it here when RCH_LOCAL_ONLY is set', () => {
    expect(classify(requestOf(['make'], { env: { RCH_LOCAL_ONLY: '1' } }))).toMatchObject({
      kind: 'local',
      weight: 'heavy',
    });
    for (const off of ['0', 'false', 'No'])
      expect(classify(requestOf(['make'], { env: { RCH_LOCAL_ONLY: off } })).kind).toBe(
        'candidate',
      );
  });

  it('keeps it here under LD_PRELOAD', () => {
    expect(classify(requestOf(['make'], { env: { LD_PRELOAD: 'libfakeroot.so' } })).kind).toBe(
      'local',
    );
  });

  it('lets one log for both streams go elsewhere, but not a file opened twice', () => {
    const of = (one: Stream, two: Stream, shared: number = Shared.outErr) =>
      classify(requestOf(['make'], { streams: [file(9n, 0), one, two], shared })).kind;
    expect(of(file(5n, 1), file(5n, 1))).toBe('candidate');
    expect(of(file(5n, 1), file(5n, 1), 0)).toBe('local');
    expect(of(file(5n, 1 | APPEND), file(5n, 1 | APPEND), 0)).toBe('candidate');
    expect(of(file(5n, 1), file(5n, 1 | APPEND), 0)).toBe('local');
    expect(of(file(5n, 1), file(6n, 1), 0)).toBe('candidate');
  });

  it('keeps it here when its output goes to a device', () => {
    const full: Stream = { kind: StreamKind.other, dev: 1n, ino: 7n, flags: 1 };
    const streams = [file(9n, 0), full, file(6n, 1)] as const;
    expect(classify(requestOf(['make'], { streams }))).toMatchObject({
      kind: 'local',
      reason: 'a standard stream leads to a device',
    });
  });

  it('keeps it here when it would read what it writes', () => {
    const streams = [file(9n, 2), file(9n, 2), file(6n, 1)] as const;
    expect(classify(requestOf(['make'], { streams, shared: Shared.inOut })).kind).toBe('local');
  });

  it('keeps it here between two terminals, by whichever names', () => {
    const tty = (ino: bigint): Stream => ({ kind: StreamKind.tty, dev: 0n, ino, flags: 2 });
    const of = (...streams: readonly [Stream, Stream, Stream]) =>
      classify(requestOf(['make'], { streams })).kind;
    expect(of(tty(5n), tty(5n), tty(5n))).toBe('candidate');
    expect(of(tty(5n), tty(5n), tty(6n))).toBe('local');
    expect(of(tty(5n), file(1n, 1), tty(6n))).toBe('local');
  });

  it('says of an unknown tool that it is one', () => {
    expect(classify(requestOf(['bazel', 'build']))).toMatchObject({ kind: 'local' });
  });
});

const tools = fc.constantFrom(
  'cargo',
  'rustc',
  'gcc',
  'c++',
  'clang',
  'make',
  'ninja',
  'cmake',
  'meson',
  'ld',
);
const anyWord = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 12 }),
  fc.constantFrom(
    '-',
    '--',
    '-o',
    '-I',
    '-j',
    '-C',
    '--build',
    'build',
    'a.c',
    '-c',
    '@x',
    '-x',
    '-Wl,',
    '-Xlinker',
    '+x',
  ),
);

describe('any command line', () => {
  it('gets a verdict, and every no has a reason', () => {
    fc.assert(
      fc.property(tools, fc.array(anyWord, { maxLength: 8 }), fc.string(), (tool, tail, flags) => {
        const verdict = classify(
          requestOf([tool, ...tail], { env: { MAKEFLAGS: flags } }),
          (name) => (name.length > 3 ? [name.slice(1)] : undefined),
        );
        if (verdict.kind === 'local') expect(verdict.reason).not.toBe('');
        else expect(verdict.estimateMs).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 3000 },
    );
  });

  it('is never a candidate with a subcommand of the never list, whatever options come first', () => {
    const never = fc.constantFrom(
      ...'install uninstall publish login logout owner yank update add remove generate-lockfile vendor fetch init new fmt fix clean cache watch metadata tree search locate-project'.split(
        ' ',
      ),
    );
    const globals = fc.array(
      fc.constantFrom(
        '-q',
        '-v',
        '--locked',
        '--offline',
        '--frozen',
        '--color=never',
        '-Zx',
        '--config=a.b=1',
      ),
    );
    const plus = fc.constantFrom([], ['+nightly']);
    fc.assert(
      fc.property(
        plus,
        globals,
        never,
        fc.array(anyWord, { maxLength: 4 }),
        (head, options, name, tail) => {
          const argv = ['cargo', ...head, ...options, name, ...tail];
          expect(classify(requestOf(argv)).kind).toBe('local');
        },
      ),
    );
  });

  it('is never a candidate when it asks for a version or help', () => {
    const asks = fc.constantFrom(
      ['cargo', '--version'],
      ['cargo', '-V'],
      ['rustc', '--version'],
      ['gcc', '--version'],
      ['gcc', '--help'],
      ['make', '--version'],
      ['make', '-v'],
      ['make', '--help'],
      ['ninja', '--version'],
      ['cmake', '--version'],
      ['meson', '--version'],
    );
    const tail = fc.array(fc.constantFrom('-O2', '-c', 'a.c', 'all', 'x'), { maxLength: 3 });
    fc.assert(
      fc.property(asks, tail, (argv, more) => {
        const verdict = classify(requestOf([...argv, ...more]));
        expect(verdict.kind).toBe('local');
      }),
    );
  });
});
