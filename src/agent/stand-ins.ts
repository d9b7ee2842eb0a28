/** The files of /etc that a job sees in place of the worker's: those that say who and where the caller is. */
import { readFileSync } from 'node:fs';
import type { JobSpec } from '../protocol/jobs.ts';
import { databaseFor } from './passwd.ts';

export type StandIn = { readonly path: string; readonly content: Buffer };

/** A file of the worker; undefined where it has none. */
export type Read = (path: string) => Buffer | undefined;

const read: Read = (path) => {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
};

/** A host name as hosts(5) can hold it. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;

/** The worker's hosts, and the caller's own name, which has to be found there as it is here (hosts(5)). */
function hostsWith(host: string, hosts: string): string {
  const named = hosts.split('\n').some((line) => {
    const [, ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    return names.includes(host);
  });
  if (named) return hosts;
  return `${hosts}${hosts === '' || hosts.endsWith('\n') ? '' : '\n'}127.0.1.1\t${host}\n`;
}

/** Whether a tzfile(5) says UTC for all times: what a machine without one has. */
function isUtc(zone: Buffer): boolean {
  return zone.subarray(-6).toString('latin1') === '\nUTC0\n';
}

export function standIns(spec: Pick<JobSpec, 'user' | 'machine'>, worker: Read = read): StandIn[] {
  const textOf = (path: string): string => worker(path)?.toString('latin1') ?? '';
  const { passwd, group } = databaseFor(spec.user, textOf('/etc/passwd'), textOf('/etc/group'));
  const files: StandIn[] = [
    { path: '/etc/passwd', content: passwd },
    { path: '/etc/group', content: group },
  ];
  const { host } = spec.machine;
  if (NAME.test(host)) {
    const hosts = hostsWith(host, textOf('/etc/hosts'));
    files.push({ path: '/etc/hosts', content: Buffer.from(hosts, 'latin1') });
  }
  const zone = Buffer.from(spec.machine.zone, 'base64');
  const theirs = worker('/etc/localtime');
  const same = theirs === undefined ? zone.length === 0 || isUtc(zone) : theirs.equals(zone);
  // Without a file of ours, what the worker has could only be told apart by its removal.
  if (!same && zone.length > 0) files.push({ path: '/etc/localtime', content: zone });
  return files;
}
