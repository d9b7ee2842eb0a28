/** Who we are to a worker that several workstations or users share. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from './layout.ts';

/** 32 hex digits, made once for this installation's state folder. */
export function workstationId(layout: Layout): string {
  const file = join(layout.state, 'workstation');
  try {
    return read(file);
  } catch {
    mkdirSync(layout.state, { recursive: true, mode: 0o700 });
  }
  try {
    writeFileSync(file, randomBytes(16).toString('hex'), { flag: 'wx', mode: 0o600 });
  } catch {
    // Another process was first, or the folder is not ours to write: the next line tells.
  }
  return read(file);
}

function read(file: string): string {
  const id = readFileSync(file, 'utf8').trim();
  if (!/^[0-9a-f]{32}$/.test(id)) throw new Error(`${file} does not hold 32 hex digits; remove it`);
  return id;
}
