/**
 * vitest's global setup: the run gets a temporary folder of its own, and fails when anything is left in it at the
 * end, or when a process is left that works in it or runs a program from it.
 */
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { goneFrom } from './processes.ts';
import { spread } from './spread.ts';

/** ms that the last processes may take to end on a loaded machine. */
const GRACE = 60_000;

/** Whose folder TMPDIR is, a pid. */
const OWNER = 'RCH_TEST_FOLDER_OF';

/** Sets TMPDIR for everything the tests start; the returned teardown looks for leftovers. */
export function setup(): (() => Promise<void>) | undefined {
  // Several projects in one run share the folder of the first, which looks in the end.
  if (process.env[OWNER] === String(process.pid)) return undefined;
  process.env[OWNER] = String(process.pid);
  const outer = tmpdir();
  const folder = spread(mkdtempSync(join(outer, 'rch-t-')));
  // Jobs of other accounts look into it.
  chmodSync(folder, 0o755);
  process.env['TMPDIR'] = folder;
  return async () => {
    process.env['TMPDIR'] = outer;
    const processes = await goneFrom(folder, GRACE);
    const files = readdirSync(folder).filter((name) => !name.startsWith('node-compile-cache'));
    if (processes.length === 0) rmSync(folder, { recursive: true, force: true });
    const left = [
      ...processes.map((each) => `process ${each}`),
      ...files.map((name) => `file ${join(folder, name)}`),
    ];
    if (left.length > 0) throw new Error(`the tests left behind:\n${left.join('\n')}`);
  };
}
