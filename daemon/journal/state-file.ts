/** A small file of JSON in the state folder: read whole and checked, replaced at once. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { messageOf } from '../../src/base/result.ts';
import type { Complain } from './history.ts';

/** Undefined when there is no such file, or (told to `complain`) none that can be used: it is written anew then. */
export function readState<S extends z.ZodType>(
  path: string,
  shape: S,
  complain: Complain,
): z.infer<S> | undefined {
  try {
    return shape.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (thrown) {
    const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    if (!missing) complain(`${path} cannot be used and is written anew: ${messageOf(thrown)}`);
    return undefined;
  }
}

export function writeState(path: string, value: unknown, complain: Complain): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = `${path}.new`;
    writeFileSync(temporary, JSON.stringify(value, null, 1), { mode: 0o600 });
    renameSync(temporary, path);
  } catch (thrown) {
    complain(`${path}: ${messageOf(thrown)}`);
  }
}
