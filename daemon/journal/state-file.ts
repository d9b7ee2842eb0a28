/**
 * A small file of JSON in the state folder: `{"version":1,"data":…}`, read whole and checked, replaced at once. Files of
 * before there were versions hold the data alone.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../src/base/result.ts';
import type { Complain } from './history.ts';

/** Raised when the data of a file changes its meaning; an older file is then migrated where it is read. */
const VERSION = 1;

const wrapped = z.strictObject({ version: z.number().int(), data: z.unknown() });

/** The data of a file of any version up to ours; throws for a later one. */
function dataOf(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const file = wrapped.safeParse(value);
  if (!file.success) return value;
  if (file.data.version > VERSION) throw new Error(`it is of version ${file.data.version}`);
  return file.data.data;
}

/** Undefined when there is no such file, or none that can be used: that one is set aside, with a word to `complain`. */
export function readState<S extends z.ZodType>(
  path: string,
  shape: S,
  complain: Complain,
): z.infer<S> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    if (!missing) complain(`${path} cannot be read: ${messageOf(thrown)}`);
    return undefined;
  }
  try {
    return shape.parse(dataOf(text));
  } catch (thrown) {
    setAside(path, messageOf(thrown), complain);
    return undefined;
  }
}

function setAside(path: string, why: string, complain: Complain): void {
  const aside = `${path}.corrupt`;
  try {
    renameSync(path, aside);
    complain(`${path} cannot be used and was set aside as ${aside}: ${why}`);
  } catch (thrown) {
    complain(`${path} cannot be used (${why}), nor set aside: ${messageOf(thrown)}`);
  }
}

export function writeState(path: string, value: unknown, complain: Complain): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = `${path}.new`;
    const text = JSON.stringify({ version: VERSION, data: value }, null, 1);
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (thrown) {
    complain(`${path}: ${messageOf(thrown)}`);
  }
}
