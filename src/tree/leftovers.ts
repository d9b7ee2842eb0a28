/**
 * Temporaries that a killed `rch-fs` left in a tree. Their names say whose they are (shims/fs/install.h):
 * `.rch-tmp-` and four times 8 hex digits: a count, the pid, the low bits of its start time, FNV-1a of the boot id.
 */
import { lstatSync, readFileSync } from 'node:fs';
import { startTimeOf } from '../base/processes.ts';
import type { RawPath } from './manifest.ts';
import { absolute } from './paths.ts';

const NAME = /(?:^|\/)\.rch-tmp-[0-9a-f]{8}([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})$/;
/** What was made under another boot id may be another machine's, on a shared file system, for so long, ms. */
const FOREIGN_MS = 24 * 3600 * 1000;

/** FNV-1a, 32 bits. */
function fnv(text: string): number {
  let hash = 2_166_136_261;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
  return hash;
}

const boot = fnv(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 36));

/** Whether nobody is at work any more on the temporary `path` below `root`. */
function isOrphan(root: Buffer, path: RawPath): boolean {
  const [, pid, start, made] = (NAME.exec(path) ?? []).map((part) => Number.parseInt(part, 16));
  if (pid === undefined || start === undefined || made === undefined) return false;
  if (made === boot) {
    const lives = startTimeOf(pid);
    return lives === undefined || Number(lives & 0xffff_ffffn) !== start;
  }
  const info = lstatSync(absolute(root, path), { throwIfNoEntry: false });
  return info !== undefined && Date.now() - info.ctimeMs > FOREIGN_MS;
}

/** Of the temporaries that a scan found, those of processes that are gone. */
export function orphans(root: Buffer, leftovers: readonly RawPath[]): RawPath[] {
  return leftovers.filter((path) => isOrphan(root, path));
}
