/** Who we are to a worker that several workstations or users share. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from './layout.ts';

/** 32 hex digits, made once for this installation's state folder. Throws where they cannot be written. */
export function workstationId(layout: Layout): string {
  const file = join(layout.state, 'workstation');
  const known = read(file);
  if (known !== undefined) return known;
  // Cut off as it was written (a full disk, a power cut), it would keep every worker away for ever.
  rmSync(file, { recursive: true, force: true });
  mkdirSync(layout.state, { recursive: true, mode: 0o700 });
  const fresh = `${file}.new-${process.pid}`;
  try {
    const id = randomBytes(16).toString('hex');
    writeFileSync(fresh, id, { mode: 0o600 });
    // Whole or not at all; of several links that start at once the first one's counts.
    linkSync(fresh, file);
    return id;
  } catch (thrown) {
    const others = read(file);
    if (others === undefined) throw thrown;
    return others;
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** Undefined where there is none, or none that can be used. */
function read(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT' || code === 'EISDIR') return undefined;
    throw thrown;
  }
  return /^[0-9a-f]{32}\s*$/.test(text) ? text.trim() : undefined;
}
