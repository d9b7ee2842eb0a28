/** 100 MB of sources that the worker has never seen, against a first `rsync` of the same. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, ms, type Line } from './measure.ts';
import { quote } from './timed-shell.ts';
import type { Stage } from './stage.ts';

const FILES = 4000;
const FOLDERS = 40;
const BYTES = 25_000;
/** ms for all of it. */
const GOAL = 30_000;

/** Text that no other file has, and that shrinks about as sources do. */
function source(name: string): string {
  const word = (at: number): string =>
    createHash('sha256').update(`${name} ${at}`).digest('hex').slice(0, 12);
  let text = '';
  for (let at = 0; text.length < BYTES; at++)
    text += `static int value_${word(at)}(int seed) { return seed * ${at} + other_${word(at + 1)}; }\n`;
  return text.slice(0, BYTES);
}

function lay(folder: string, seed: string): void {
  for (let d = 0; d < FOLDERS; d++) {
    const at = join(folder, `part${d}`);
    mkdirSync(at, { recursive: true });
    for (let f = 0; f < FILES / FOLDERS; f++)
      writeFileSync(join(at, `unit${f}.txt`), source(`${seed}/${d}/${f}`));
  }
  writeFileSync(join(folder, 'Makefile'), 'out:\n\t@touch out\n');
}

export async function firstSync(stage: Stage, rounds: number): Promise<Line[]> {
  const rch: number[] = [];
  const rsync: number[] = [];
  const shell = stage.ssh.map((each) => quote(each)).join(' ');
  for (let round = 0; round < rounds; round++) {
    const here = join(stage.folder, `first-sync-${round}`);
    lay(here, `${stage.folder} ${round}`);
    const to = quote(`${stage.address}:first-sync-${round}`);
    rsync.push(
      (await stage.here.must(`rsync -a -e ${quote(shell)} ${quote(`${here}/`)} ${to}`)).took,
    );
    const done = await stage.remote(here, 'make');
    rch.push((done.row.phases['scan'] ?? NaN) + (done.row.phases['sync'] ?? NaN));
    await stage.there.must(`rm -r first-sync-${round}`);
  }
  return [
    {
      bench: 'first-sync',
      what: `${(FILES * BYTES) / 1e6} MB of sources in ${FILES} files, new to the worker; against a first rsync`,
      measured: ms(median(rch)),
      baseline: ms(median(rsync)),
      ratio: median(rch) / median(rsync),
      goal: `< ${GOAL / 1000} s`,
      met: median(rch) < GOAL,
    },
  ];
}
