import { expect, it } from 'vitest';
import { Results } from '../../../daemon/link/results.ts';
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
