/** What an agent waits for before each shell command: rch-hook as a process, against an empty Node program. */
import { execFile } from 'node:child_process';
import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median, ms, type Line } from './measure.ts';
import type { Stage } from './stage.ts';

const execute = promisify(execFile);
const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const PAIRS = 100;
/** ms */
const GOAL = 5;

const call = {
  session_id: 'abc123',
  cwd: '/',
  hook_event_name: 'PreToolUse',
  tool_name: 'Bash',
  tool_input: { command: 'cargo build --release 2>&1 | tail -20', timeout: 120_000 },
};

export async function hook(stage: Stage): Promise<Line[]> {
  const program = join(stage.folder, 'pairs');
  await execute('cc', ['-O2', '-o', program, join(top, 'scripts', 'benchmarks', 'pairs.c')]);
  const link = join(stage.world.data, 'lib', 'rch-hook');
  if (!existsSync(link)) symlinkSync('rch-shim', link);
  const input = join(stage.folder, 'call.json');
  writeFileSync(input, JSON.stringify(call));
  await stage.world.rch(['daemon', 'start']);
  const env = { ...stage.world.env, PAIRS_INPUT: input };
  const { stdout } = await execute(
    program,
    [String(PAIRS), link, '--', process.execPath, '-e', '0'],
    { env, maxBuffer: 1 << 24 },
  );
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map((text) => Number(text) / 1e6));
  const ours = median(rows.map(([a]) => a ?? NaN));
  const node = median(rows.map(([, b]) => b ?? NaN));
  return [
    {
      bench: 'hook',
      what: 'rch-hook before a shell command, median; node -e 0',
      measured: ms(ours),
      baseline: ms(node),
      ratio: ours / node,
      goal: `${GOAL} ms`,
      met: ours <= GOAL,
    },
  ];
}
