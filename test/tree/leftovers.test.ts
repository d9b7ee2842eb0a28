import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startTimeOf } from '../../src/base/processes.ts';
import { FsHelper } from '../../src/tree/fs-helper.ts';
import { removeLeftovers } from '../../src/tree/place.ts';
import { folder, helper, openTree, program, reason, usesHelper, value } from './rig.ts';

usesHelper();

/** A helper that the kernel ends (SIGXFSZ of setrlimit(2)) once it writes more than 64 KiB into a file. */
function dying(): FsHelper {
  const script = join(folder(), 'dying-fs');
  fs.writeFileSync(script, `#!/bin/sh\nexec prlimit --core=0 --fsize=65536 '${program()}'\n`, {
    mode: 0o755,
  });
  return new FsHelper(script);
}

test('what a killed placement left is removed, what another is at stays', async () => {
  const where = folder();
  const data = Buffer.alloc(100_000, 'x');
  const killed = await dying().apply(Buffer.from(where), [
    {
      op: 'file',
      path: 'large',
      guard: 'none',
      mode: 0o644,
      mtime: 0n,
      size: data.length,
      content: { from: 'inline', data },
    },
  ]);
  expect(reason(killed)).toMatch(/SIGXFSZ/);
  const names = fs.readdirSync(where);
  expect(names).toEqual([expect.stringMatching(/^\.rch-tmp-[0-9a-f]{32}$/)]);
  const [left = ''] = names;
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const started = Number((startTimeOf(process.pid) ?? 0n) & 0xffff_ffffn);
  const living = `.rch-tmp-${hex(1)}${hex(process.pid)}${hex(started)}${left.slice(-8)}`;
  const another = `.rch-tmp-${hex(1)}${hex(process.pid)}${hex(started)}${hex(1)}`;
  for (const name of [living, another]) fs.writeFileSync(join(where, name), '');
  const shared = helper();
  const { tree } = openTree(where, { helper: shared });
  const { leftovers } = value(await tree.refresh());
  expect([...leftovers].sort()).toEqual([left, living, another].sort());
  value(await removeLeftovers(shared, tree.root, leftovers));
  expect(fs.readdirSync(where).sort()).toEqual([living, another].sort());
});
