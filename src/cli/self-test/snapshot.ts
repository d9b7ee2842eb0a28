/** What stands below a folder, with times, so that two runs of a command can be compared file by file. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type Entry =
  | { readonly kind: 'folder'; readonly mode: number }
  | {
      readonly kind: 'file';
      readonly mode: number;
      readonly size: number;
      readonly sha: string;
      /** ns since 1970. */
      readonly mtime: bigint;
    }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'special' };

/** By path relative to the folder; names are raw bytes as latin1. */
export type Snapshot = ReadonlyMap<string, Entry>;

/** cargo's pure cache, which may stay on the worker. */
const pureCache = /(^|\/)incremental$/;

export function snapshot(of: string): Snapshot {
  const folder = Buffer.from(of).toString('latin1');
  const entries = new Map<string, Entry>();
  const walk = (relative: string): void => {
    const at = Buffer.from(relative === '' ? folder : `${folder}/${relative}`, 'latin1');
    const names = readdirSync(at, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    for (const name of names.sort()) {
      const path = relative === '' ? name : `${relative}/${name}`;
      if (pureCache.test(path)) continue;
      const full = Buffer.from(`${folder}/${path}`, 'latin1');
      const stat = lstatSync(full, { bigint: true });
      const mode = Number(stat.mode & 0o7777n);
      if (stat.isSymbolicLink())
        entries.set(path, { kind: 'link', target: readlinkSync(full, 'latin1') });
      else if (stat.isDirectory()) {
        entries.set(path, { kind: 'folder', mode });
        walk(path);
      } else if (stat.isFile()) {
        const sha = createHash('sha256').update(readFileSync(full)).digest('hex');
        entries.set(path, {
          kind: 'file',
          mode,
          size: Number(stat.size),
          sha,
          mtime: stat.mtimeNs,
        });
      } else entries.set(path, { kind: 'special' });
    }
  };
  walk('');
  return entries;
}
