/** Finds programs as execvp(3) would, on the caller's PATH. */
import { accessSync, constants, statSync } from 'node:fs';
import { bytesOf } from './files.ts';

function executable(path: string): boolean {
  try {
    if (statSync(bytesOf(path), { throwIfNoEntry: false })?.isFile() !== true) return false;
    accessSync(bytesOf(path), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first executable of that name in the folders of `path` (as PATH), or undefined. */
export function findProgram(name: string, path: string): string | undefined {
  if (name.includes('/')) return executable(name) ? name : undefined;
  for (const folder of path.split(':')) {
    if (folder.startsWith('/') && executable(`${folder}/${name}`)) return `${folder}/${name}`;
  }
  return undefined;
}
