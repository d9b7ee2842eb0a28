/** A synced tree of 10,000 files: a make with nothing to do, and the sync of one edited file. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, ms, type Line } from './measure.ts';
import { quote } from './timed-shell.ts';
import type { Stage } from './stage.ts';

const FOLDERS = 100;
const FILES = 100;

export function layBigTree(folder: string): void {
  for (let d = 0; d < FOLDERS; d++) {
    const at = join(folder, `part${d}`);
    mkdirSync(at, { recursive: true });
    for (let f = 0; f < FILES; f++)
      writeFileSync(
        join(at, `unit${f}.c`),
        `int unit_${d}_${f}(void) { return ${d * FILES + f}; }\n`,
      );
  }
  // Without make's own search of ten thousand implicit rules, which would hide all else.
  const makefile = 'MAKEFLAGS += --no-builtin-rules\nout: $(wildcard part*/*.c)\n\t@touch out\n';
  writeFileSync(join(folder, 'Makefile'), makefile);
}

/** Lays the tree, has the worker make it once through rch, and copies it to the worker for runs by hand. */
async function laid(stage: Stage, name: string): Promise<{ here: string; there: string }> {
  const here = join(stage.folder, name);
  layBigTree(here);
  await stage.remote(here, 'make');
  await stage.remote(here, 'make');
  return { here, there: await stage.copyThere(here, name) };
}

export async function noOpMake(stage: Stage, rounds: number): Promise<Line[]> {
  const tree = await laid(stage, 'no-op');
  const remote: number[] = [];
  const byHand: number[] = [];
  const scans: number[] = [];
  const count = 7 * rounds;
  for (let round = 0; round < count; round++) {
    const done = await stage.remote(tree.here, 'make');
    const hand = await stage.there.must(`cd ${quote(tree.there)} && make`);
    if (!`${done.output}${hand.output}`.includes("'out' is up to date"))
      throw new Error(`make had something to do: ${done.output}${hand.output}`);
    remote.push(done.took);
    byHand.push(hand.took);
    scans.push(done.row.phases['scan'] ?? 0);
  }
  const added = median(remote.map((value, at) => value - (byHand[at] ?? NaN)));
  const scan = median(scans);
  return [
    {
      bench: 'no-op-make',
      what: `make with nothing to do, 10,000 files (+${ms(added)}, of which scan ${ms(scan)})`,
      measured: ms(median(remote)),
      baseline: ms(median(byHand)),
      ratio: median(remote) / median(byHand),
      goal: '+scan + 30 ms',
      met: added <= scan + 30,
    },
  ];
}

export async function oneEdit(stage: Stage, rounds: number): Promise<Line[]> {
  const tree = await laid(stage, 'edit');
  const rch: number[] = [];
  const rsync: number[] = [];
  const shell = stage.ssh.map((word) => quote(word)).join(' ');
  const command =
    `rsync -a --modify-window=-1 --delete -e ${quote(shell)} ${quote(`${tree.here}/`)} ` +
    quote(`${stage.address}:${tree.there}/`);
  await stage.here.must(command);
  const count = 7 * rounds;
  for (let round = 0; round < count; round++) {
    const file = join(tree.here, `part${round % FOLDERS}`, `unit${round % FILES}.c`);
    appendFileSync(file, `/* ${round} */\n`);
    const done = await stage.remote(tree.here, 'make');
    rch.push((done.row.phases['scan'] ?? 0) + (done.row.phases['sync'] ?? 0));
    // What the build made here must not be part of rsync's work.
    await stage.here.must(command);
    appendFileSync(file, `/* again ${round} */\n`);
    rsync.push((await stage.here.must(command)).took);
  }
  const faster = median(rsync) / median(rch);
  return [
    {
      bench: 'one-edit',
      what: 'one file of 10,000 edited: scan and sync, against rsync on a warm ControlMaster',
      measured: ms(median(rch)),
      baseline: ms(median(rsync)),
      ratio: 1 / faster,
      goal: '≤ 0.33×',
      met: faster >= 3,
    },
  ];
}
