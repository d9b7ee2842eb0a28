/** The user database a job sees: the caller as it is on its own machine, and the worker's other users. */
import type { JobSpec } from '../protocol/jobs.ts';

export type UserDatabase = { readonly passwd: Buffer; readonly group: Buffer };

/** A name that stands in passwd(5) as it is; anything else would break the lines. */
function field(text: string): string {
  return text.replace(/[:\n\0]/g, '_');
}

/** Lines of a database in which field 0 is a name and field 2 a number, without those of `name` and `id`. */
function others(text: string, name: string, id: number): string[] {
  return text.split('\n').filter((line) => {
    const [theirs, , number] = line.split(':');
    return line !== '' && theirs !== name && number !== id.toString();
  });
}

/** `passwd` and `group` are the worker's own files. */
export function databaseFor(user: JobSpec['user'], passwd: string, group: string): UserDatabase {
  const name = field(user.name);
  const groupName = field(user.group);
  const own = `${name}:x:${user.uid}:${user.gid}::${field(user.home)}:/bin/sh`;
  const join = (lines: string[]): Buffer => Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  return {
    passwd: join([own, ...others(passwd, name, user.uid)]),
    group: join([`${groupName}:x:${user.gid}:`, ...others(group, groupName, user.gid)]),
  };
}
