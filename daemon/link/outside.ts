/** What of this machine a job meets outside its roots. */
import { lstatSync } from 'node:fs';
import type { JobUsage } from '../../src/protocol/jobs.ts';
import type { RawPath } from '../../src/tree/manifest.ts';

/** Folders of which a job has its own (src/agent/temporaries.ts), by its environment (`NAME=value`). */
export function temporariesOf(env: readonly string[]): RawPath[] {
  const named = env.find((item) => item.startsWith('TMPDIR='))?.slice('TMPDIR='.length) ?? '';
  const folders = ['/tmp', '/var/tmp'];
  return named.startsWith('/') ? [...folders, named.replace(/(?<=.)\/+$/, '')] : folders;
}

function isHere(path: RawPath): boolean {
  try {
    return lstatSync(Buffer.from(path, 'latin1'), { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** The path outside the roots for which a tool failed there as it would not have failed here; '' for none. */
export function outsideOf(usage: JobUsage): RawPath {
  return usage.deniedPath !== '' ? usage.deniedPath : (usage.missingPaths.find(isHere) ?? '');
}
