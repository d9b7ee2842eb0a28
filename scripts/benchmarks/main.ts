/** scripts/bench: runs the benchmarks that were asked for on one stage, and prints one table. */
import { parseArgs } from 'node:util';
import { noOpMake, oneEdit } from './big-tree.ts';
import { bulkReturn } from './bulk.ts';
import { hook } from './hook.ts';
import { configure } from './configure.ts';
import { firstSync } from './first-sync.ts';
import { longLink } from './long-link.ts';
import { table, type Line } from './measure.ts';
import { memory } from './memory.ts';
import { passThrough } from './pass-through.ts';
import { selection } from './selection.ts';
import { Stage } from './stage.ts';
import { rustWorkspace } from './workspace.ts';

type Benchmark = (stage: Stage, rounds: number) => Promise<readonly Line[]>;

/** In the order they are run. */
const benchmarks: Readonly<Record<string, Benchmark>> = {
  'pass-through': passThrough,
  selection,
  hook,
  configure,
  'no-op-make': noOpMake,
  'one-edit': oneEdit,
  'first-sync': firstSync,
  'bulk-return': bulkReturn,
  'long-link': longLink,
  workspace: rustWorkspace,
  memory,
};

async function run(names: readonly string[], rounds: number, verbose: boolean): Promise<Line[]> {
  const lines: Line[] = [];
  const stage = await Stage.set(verbose);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      void stage.clear().finally(() => process.exit(130));
    });
  try {
    for (const name of names) {
      const begun = performance.now();
      try {
        const found = (await benchmarks[name]?.(stage, rounds)) ?? [];
        lines.push(...found);
        const seconds = ((performance.now() - begun) / 1000).toFixed(0);
        // What an interrupted run has found is not lost.
        process.stderr.write(`bench: ${name}: ${seconds} s\n${table(found)}\n`);
      } catch (thrown) {
        const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
        process.stderr.write(`bench: ${name}: ${text}\n`);
      }
    }
  } finally {
    await stage.clear();
  }
  return lines;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    verbose: { type: 'boolean', default: false },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
const unknown = names.filter((name) => !(name in benchmarks));
const rounds = Number(values.rounds);
if (values.list) {
  process.stdout.write(`${Object.keys(benchmarks).join('\n')}\n`);
} else if (unknown.length > 0 || !(Number.isInteger(rounds) && rounds > 0)) {
  process.stderr.write(
    `bench: ${unknown.length > 0 ? `no benchmark ${unknown.join(', ')}` : 'rounds: a number above 0'}\n`,
  );
  process.exitCode = 64;
} else {
  const lines = await run(names, rounds, values.verbose);
  process.stdout.write(`${values.json ? JSON.stringify(lines, undefined, 2) : table(lines)}\n`);
}
