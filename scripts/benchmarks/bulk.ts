/** The return of one file of 500 MB that does not compress, against `ssh cat` of the same. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, type Line } from './measure.ts';
import { quote } from './timed-shell.ts';
import type { Stage } from './stage.ts';

const BYTES = 500_000_000;

/** The recipe's last word is the time at which it is done, ns. */
const MAKEFILE = `blob:
\t@head -c ${BYTES} /dev/urandom > blob; date +%s%N
`;

export async function bulkReturn(stage: Stage, rounds: number): Promise<Line[]> {
  const cwd = join(stage.folder, 'bulk');
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'Makefile'), MAKEFILE);
  const copy = join(stage.folder, 'bulk-copy');
  const cat = `${stage.ssh.map((word) => quote(word)).join(' ')} ${stage.address} cat bulk-blob > ${quote(copy)}`;
  await stage.there.must(`head -c ${BYTES} /dev/urandom > bulk-blob`);
  const rch: number[] = [];
  const phase: number[] = [];
  const ssh: number[] = [];
  const rate = (milliseconds: number): number => BYTES / 1e6 / (milliseconds / 1000);
  const count = 2 * rounds + 1;
  for (let round = 0; round < count; round++) {
    rmSync(join(cwd, 'blob'), { force: true });
    rmSync(copy, { force: true });
    const done = await stage.remote(cwd, 'make');
    // From the end of the tool to the end of the shim: hashing there and all else included.
    rch.push(rate(done.till - Number(BigInt(done.output.trim()) / 1000n) / 1000));
    phase.push(rate(done.row.phases['return'] ?? NaN));
    ssh.push(rate((await stage.here.must(cat)).took));
  }
  await stage.there.must('rm bulk-blob');
  const figure = (value: number): string => `${value.toFixed(0)} MB/s`;
  const common = { bench: 'bulk-return', baseline: figure(median(ssh)), goal: '≥ 150 MB/s' };
  return [
    {
      ...common,
      what: '500 MB, from the end of the tool to the end of the shim; against ssh cat',
      measured: figure(median(rch)),
      ratio: median(rch) / median(ssh),
      met: median(rch) >= 150,
    },
    {
      ...common,
      what: '500 MB, the phase "return" alone',
      measured: figure(median(phase)),
      ratio: median(phase) / median(ssh),
      goal: '',
      met: undefined,
    },
  ];
}
