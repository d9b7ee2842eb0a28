/**
 * vitest's global setup: the run gets a temporary folder of its own, and fails when anything is left in it at the
 * end, or when a process is left that works in it or runs a program from it.
 */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spread } from './spread.ts';

/** ms that processes which were told to end may take. */
const GRACE = 10_000;

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Processes that have to do with `folder`: by program, arguments, working folder, or environment. */
function processesOf(folder: string): string[] {
  const below = (path: string): boolean => path.startsWith(`${folder}/`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      const proc = `/proc/${pid}`;
      if (below(linkOf(`${proc}/exe`)) || below(linkOf(`${proc}/cwd`))) return true;
      return textOf(`${proc}/cmdline`).includes(`${folder}/`);
    })
    .map((pid) => `${pid} ${textOf(`/proc/${pid}/cmdline`).slice(0, 300)}`);
}

async function gone(folder: string): Promise<string[]> {
  const till = performance.now() + GRACE;
  for (;;) {
    const left = processesOf(folder);
    if (left.length === 0 || performance.now() > till) return left;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}

/** Sets TMPDIR for everything the tests start; the returned teardown looks for leftovers. */
export function setup(): () => Promise<void> {
  const outer = tmpdir();
  const folder = spread(mkdtempSync(join(outer, 'rch-t-')));
  // Jobs of other accounts look into it.
  chmodSync(folder, 0o755);
  process.env['TMPDIR'] = folder;
  return async () => {
    process.env['TMPDIR'] = outer;
    const processes = await gone(folder);
    const files = readdirSync(folder).filter((name) => !name.startsWith('node-compile-cache'));
    if (processes.length === 0) rmSync(folder, { recursive: true, force: true });
    const left = [
      ...processes.map((each) => `process ${each}`),
      ...files.map((name) => `file ${join(folder, name)}`),
    ];
    if (left.length > 0) throw new Error(`the tests left behind:\n${left.join('\n')}`);
  };
}
