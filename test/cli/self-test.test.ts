import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readCases } from '../../src/cli/self-test/case-file.ts';
import {
  fileDifferences,
  textDifference,
  timeDifferences,
} from '../../src/cli/self-test/compare.ts';
import { normalised } from '../../src/cli/self-test/normalise.ts';
import type { Entry, Snapshot } from '../../src/cli/self-test/snapshot.ts';
import { kindsOf, streamKinds } from '../../src/cli/self-test/streams.ts';

const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = join(top, 'src', 'cli', 'self-test', 'cases');
const read = readCases(folder);
const sets = read.ok ? read.value : [];
const cases = sets.flatMap((set) => set.cases);

describe('the cases', () => {
  it('can be read, and are at least 250 for ten tools', () => {
    expect(read).toMatchObject({ ok: true });
    expect(cases.length).toBeGreaterThanOrEqual(250);
    expect(cases.filter((one) => one.quick).length).toBeGreaterThanOrEqual(250);
    expect([...new Set(cases.map((one) => one.tool))].sort()).toEqual(
      [
        'cargo',
        'clang',
        'clang++',
        'cmake',
        'g++',
        'gcc',
        'make',
        'meson',
        'ninja',
        'rustc',
      ].sort(),
    );
  });

  it('cover every invocation that is known to break wrappers, or a reason is given', () => {
    const { invocations, reasons } = z
      .strictObject({
        invocations: z.array(z.string()),
        reasons: z.record(z.string(), z.string().min(10)),
      })
      .parse(parse(readFileSync(join(folder, 'invocations.toml'), 'utf8')));
    const covered = new Set(cases.flatMap((one) => one.covers));
    expect(invocations.filter((name) => !covered.has(name) && !(name in reasons))).toEqual([]);
    expect([...covered].filter((name) => !invocations.includes(name))).toEqual([]);
    expect(Object.keys(reasons).filter((name) => covered.has(name))).toEqual([]);
  });

  it('state shares of remote runs that their own permissions to run here allow', () => {
    for (const { name, cases: some, remoteShare } of sets) {
      const free = some.filter((one) => one.local === undefined).length / some.length;
      expect(remoteShare, name).toBeLessThanOrEqual(free);
      expect(free - remoteShare, `${name} could state more`).toBeLessThan(0.12);
    }
  });

  it('have every kind of streams in a run with one kind each, always the same', () => {
    const kinds = cases.map((one) => kindsOf(one.id, false));
    expect(new Set(kinds.flat())).toEqual(new Set(streamKinds));
    expect(kinds.every((some) => some.length === 1)).toBe(true);
    expect(kindsOf('gcc: compiles', true)).toEqual(streamKinds);
  });
});

const file = (sha: string, mtime: bigint, mode = 0o644): Entry => ({
  kind: 'file',
  mode,
  size: 1,
  sha,
  mtime,
});
const tree = (entries: Record<string, Entry>): Snapshot => new Map(Object.entries(entries));

describe('the comparison', () => {
  it('shows the lines that differ, control bytes in words', () => {
    expect(textDifference('stdout', 'a\nb\n', 'a\nb\n')).toBeUndefined();
    expect(textDifference('stdout', 'a\n\u001b[1mb\nc\n', 'a\nB\nc\n')).toBe(
      'stdout differs from line 2 on:\n  here  | \\x1b[1mb\n  there | B',
    );
  });

  it('sees content, mode, kind, target, what is missing and what is too much', () => {
    const here = tree({
      same: file('1', 1n),
      bytes: file('1', 1n),
      mode: file('1', 1n),
      kind: { kind: 'folder', mode: 0o755 },
      link: { kind: 'link', target: 'a' },
      gone: file('1', 1n),
      'noise.log': file('1', 1n),
    });
    const there = tree({
      same: file('1', 9n),
      bytes: file('2', 1n),
      mode: file('1', 1n, 0o755),
      kind: file('1', 1n),
      link: { kind: 'link', target: 'b' },
      extra: file('1', 1n),
      'noise.log': file('2', 1n),
    });
    expect(fileDifferences(here, there, ['*.log'])).toEqual([
      'bytes has other bytes (1 there, 1 here)',
      'mode has mode 755 there, 644 here',
      'kind is a file there, a folder here',
      'link points to b there, to a here',
      'gone is missing after the run there',
      'extra is there after the run there, and not here',
    ]);
    expect(fileDifferences(here, here, [])).toEqual([]);
  });

  it('sees times that changed, and outputs whose order turned', () => {
    const laid = tree({ source: file('s', 100n), other: file('s', 100n) });
    const here = tree({
      source: file('s', 100n),
      other: file('s', 100n),
      a: file('a', 200n),
      b: file('b', 300n),
    });
    const there = tree({
      source: file('s', 100n),
      other: file('s', 101n),
      a: file('a', 400n),
      b: file('b', 350n),
    });
    expect(timeDifferences(laid, [here, here], 'kept')).toEqual([]);
    expect(timeDifferences(laid, [here, there], 'any')).toEqual([
      'other was left alone here and touched there',
    ]);
    expect(timeDifferences(laid, [here, there], 'kept')).toContain(
      'b is newer than a here, and older there',
    );
    const old = tree({ ...Object.fromEntries(here), a: file('a', 50n) });
    expect(timeDifferences(laid, [here, old], 'any')).toContain(
      'a, written by the command, is older there than source',
    );
  });

  it('leaves out only what a tool does not reproduce', () => {
    const text = (words: string, ...by: Parameters<typeof normalised>[1]): string =>
      normalised(Buffer.from(words, 'latin1'), by);
    expect(text('-o /tmp/ccAb12Zx.s x', 'temporary')).toBe('-o TEMPORARY.s x');
    expect(text('-o /tmp/x-1f2e3d.o x', 'temporary')).toBe('-o TEMPORARY/x.o x');
    expect(text('Finished in 0.35s', 'time')).toBe('Finished in TIME');
    expect(text('Finished in 0.35s')).toBe('Finished in 0.35s');
    expect(text('b\na\n', 'lines')).toBe('\na\nb');
    expect(text('    Blocking waiting for file lock on package cache\nnext\n', 'lock')).toBe(
      'next\n',
    );
    const bar = '\u001b[1m\u001b[96m    Building\u001b[0m [=>    ] 1/3: app\r';
    expect(text(`${bar}\u001b[K\u001b[1mdone\n`, 'progress')).toBe('\u001b[1mdone\n');
  });
});
