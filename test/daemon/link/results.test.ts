import { expect, it } from 'vitest';
import { Results } from '../../../daemon/link/results.ts';
import type { Special } from '../../../src/protocol/jobs.ts';
import type { Change } from '../../../src/tree/manifest.ts';
import { packChanges } from '../../../src/tree/packed.ts';

const gone = (count: number): Change[] =>
  Array.from({ length: count }, (_, at) => ({ op: 'gone', path: `f${at}` }));

/** Says of a result with so many changes what is wrong with it. */
function add(results: Results, root: string, count: number, last = true): string | undefined {
  const [changes = Buffer.alloc(0)] = packChanges(gone(count));
  const job = Buffer.alloc(16);
  return results.add({ type: 'result', job, root, from: 0n, till: 1n, changes, last });
}

it('takes results of what the job may change, and of nothing else', () => {
  const results = new Results(['key', '/tmp']);
  expect(add(results, 'key', 2)).toBeUndefined();
  expect(add(results, '/tmp', 1)).toBeUndefined();
  expect(add(results, '/etc', 0)).toMatch(/returns files into \/etc/);
  expect(add(results, 'key2', 0)).toMatch(/returns files into key2/);
  expect(results.temporaries).toEqual(['/tmp']);
  expect(results.of('key').changes).toHaveLength(2);
});

it('takes FIFOs and sockets below the roots that the job may change, and nowhere else', () => {
  const results = new Results(['key', 'other']);
  const fifo = { root: 'key', path: 'a/ff', kind: 'fifo', mode: 0o644, mtime: '1' } as const;
  const left = (special: Special): string | undefined => {
    const usage = { wallMs: 1, userMs: 1, systemMs: 1, maxRss: 1, deniedPath: '' };
    const json = Buffer.from(JSON.stringify({ ...usage, specials: [special] }));
    return results.ended({ type: 'ended', job: Buffer.alloc(16), kind: 0, value: 0, json });
  };
  expect(left(fifo)).toBeUndefined();
  for (const path of ['../ff', '/ff', '', 'a/../../ff', 'a\0'])
    expect(left({ ...fifo, path }), path).toMatch(/^the worker returns .*, which /);
  expect(left({ ...fifo, root: '/etc' })).toMatch(/returns files into \/etc/);
  expect([results.specialsOf('key'), results.specialsOf('other')]).toEqual([[fifo], []]);
});

it('bounds the changes of all roots together, and not what is told anew', () => {
  const results = new Results(['a', 'b', 'c'], 10);
  const tell = (): (string | undefined)[] => [
    add(results, 'a', 4, false),
    add(results, 'a', 1),
    add(results, 'b', 5),
  ];
  expect(tell()).toEqual([undefined, undefined, undefined]);
  results.restart();
  expect(tell()).toEqual([undefined, undefined, undefined]);
  expect(add(results, 'c', 1)).toMatch(/too many files/);
});
