/** Machines that may become workers: gathered from ssh_config and aliases, each place once. */
import { execa } from 'execa';
import { homedir } from 'node:os';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { sshAliases } from './ssh-aliases.ts';
import { sshHosts } from './ssh-hosts.ts';

/** What `ssh -G` makes of a name. */
export type Effective = { readonly host: string; readonly user: string; readonly port: number };

export type Found = {
  /** What it would be called in workers.toml. */
  readonly id: string;
  /** As workers.toml would say it. */
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  readonly identityFile: string | undefined;
  readonly effective: Effective;
  /** `FILE:LINE` of each mention. */
  readonly from: readonly string[];
  /** The worker that leads to the same place already. */
  readonly known: string | undefined;
  /** Why it was not asked; empty when it may be. */
  readonly skipped: string;
};

/** One mention, before it is known where it leads. */
export type Candidate = Pick<Found, 'host' | 'user' | 'port' | 'identityFile'> & {
  readonly name: string;
  readonly from: string;
  readonly beyond: readonly string[];
};

const ASK_MS = 10_000;
/** Runs of ssh -G beside each other. */
const SIDE_BY_SIDE = 8;

/** Where git is served, and nothing else. */
const forges =
  /(^|\.)(github|gitlab|bitbucket|codeberg|sr\.ht|visualstudio|azure)\.(com|org|net)$|^git\.sr\.ht$/;

/** An id of workers.toml made of any name. */
export function idFrom(name: string): string {
  const clean = name.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return clean.slice(0, 32);
}

/** All mentions in the files of this home. */
export function candidates(home: string, zsh: string | undefined): Candidate[] {
  const hosts = sshHosts(home).map(({ name, file, line }) => ({
    ...{ name, host: name, user: undefined, port: undefined, identityFile: undefined },
    ...{ from: `${file}:${line}`, beyond: [] },
  }));
  const aliases = sshAliases(home, zsh).map(({ file, line, ...alias }) => ({
    ...alias,
    from: `${file}:${line}`,
  }));
  return [...hosts, ...aliases];
}

/** Runs `each` for all, so many at once. */
export async function sideBySide<T, R>(
  all: readonly T[],
  most: number,
  each: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) {
      const item = all[at];
      if (item !== undefined) results[at] = await each(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, all.length) }, lane));
  return results;
}

type Way = Pick<Candidate, 'host' | 'user' | 'port'>;

async function effectiveOf({ host, user, port }: Way): Promise<Effective | undefined> {
  const asked = await execa(
    'ssh',
    [
      '-G',
      ...(port === undefined ? [] : ['-p', String(port)]),
      ...(user === undefined ? [] : ['-l', user]),
      '--',
      host,
    ],
    { reject: false, stdin: 'ignore', timeout: ASK_MS },
  );
  if (asked.failed) return undefined;
  const value = (key: string): string | undefined =>
    new RegExp(`^${key} (.*)$`, 'm').exec(asked.stdout)?.[1];
  const name = value('hostname');
  const account = value('user');
  if (name === undefined || account === undefined) return undefined;
  return { host: name.toLowerCase(), user: account, port: Number(value('port') ?? 22) };
}

const keyOf = ({ user, host, port }: Effective): string => `${user}@${host}:${port}`;

type Resolved = { readonly candidate: Candidate; readonly effective: Effective };

function skipReason({ candidate, effective }: Resolved): string {
  if (candidate.beyond.length > 0)
    return `its alias needs ${candidate.beyond.join(' ')}: put that into ~/.ssh/config under a Host`;
  if (forges.test(effective.host) || effective.user === 'git') return 'it serves git';
  return idFrom(candidate.name) === '' ? 'its name has no letter' : '';
}

/**
 * One row a place: mentions of the same account are joined, names in ssh_config first. `known`: the workers that there
 * are, by place; `taken`: their ids, and those of workers that no ssh leads to.
 */
export function joined(
  all: readonly Resolved[],
  known: ReadonlyMap<string, string>,
  taken: readonly string[],
): Found[] {
  const rows = new Map<string, Resolved[]>();
  for (const each of all) {
    const key = keyOf(each.effective);
    rows.set(key, [...(rows.get(key) ?? []), each]);
  }
  const ids = new Set<string>(taken);
  return [...rows].flatMap(([key, mentions]) => {
    const usable = mentions.find((each) => skipReason(each) === '') ?? mentions[0];
    if (usable === undefined) return [];
    const { candidate, effective } = usable;
    const worker = known.get(key);
    let id = worker ?? idFrom(candidate.name);
    for (let n = 2; worker === undefined && ids.has(id); n++)
      id = `${idFrom(candidate.name).slice(0, 29)}-${n}`;
    ids.add(id);
    const { host, user, port, identityFile } = candidate;
    return {
      ...{ id, host, user, port, identityFile, effective, known: worker },
      from: mentions.map((each) => each.candidate.from),
      skipped: worker === undefined ? skipReason(usable) : '',
    };
  });
}

/** Where the workers that there are lead to. */
async function knownPlaces(workers: readonly WorkerConfig[]): Promise<Map<string, string>> {
  const ssh = workers.filter((worker) => worker.transport === 'ssh');
  const places = await sideBySide(ssh, SIDE_BY_SIDE, async ({ id, host = '', user, port }) => ({
    id,
    effective: await effectiveOf({ host, user, port }),
  }));
  return new Map(
    places.flatMap(({ id, effective }) =>
      effective === undefined ? [] : [[keyOf(effective), id]],
    ),
  );
}

/** Looks at files and asks `ssh -G`, which reads Include and Match as ssh does; connects nowhere. */
export async function findMachines(
  env: Readonly<Record<string, string | undefined>>,
  workers: readonly WorkerConfig[],
): Promise<Found[]> {
  const all = candidates(env['HOME'] ?? homedir(), env['ZDOTDIR']);
  const resolved = await sideBySide(all, SIDE_BY_SIDE, async (candidate) => ({
    candidate,
    effective: await effectiveOf(candidate),
  }));
  const there = resolved.flatMap(({ candidate, effective }) =>
    effective === undefined ? [] : [{ candidate, effective }],
  );
  const ids = workers.map(({ id }) => id);
  return joined(there, await knownPlaces(workers), ids);
}
