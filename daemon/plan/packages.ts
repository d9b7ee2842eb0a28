/** Which installed package a file of this system belongs to. */
import { posix } from 'node:path';
import { RPM_NAME } from '../../src/facts/packages.ts';
import type { MachineFacts } from '../../src/protocol/facts.ts';
import type { PlanCaches } from './caches.ts';
import { realPath } from './files.ts';
import { runTool } from './run-tool.ts';

type Manager = MachineFacts['packageManager'];

/** The files whose change means that packages came or went. */
const databases: Readonly<Record<Manager, readonly string[]>> = {
  dpkg: ['/var/lib/dpkg/status'],
  rpm: ['/usr/lib/sysimage/rpm/rpmdb.sqlite', '/var/lib/rpm/rpmdb.sqlite', '/var/lib/rpm/Packages'],
  apk: ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'],
  pacman: ['/var/lib/pacman/local'],
  none: [],
};

/** The same file under the names that a package may have listed it by: Debian's lists say both /lib and /usr/lib. */
function spellings(path: string): string[] {
  const real = realPath(path) ?? path;
  const folder = realPath(posix.dirname(path));
  const inFolder = folder === undefined ? path : `${folder}/${posix.basename(path)}`;
  const all = [path, inFolder, real].flatMap((each) =>
    /^\/(bin|sbin|lib\w*)\//.test(each)
      ? [each, `/usr${each}`]
      : [each, each.replace(/^\/usr\/(bin|sbin|lib\w*)\//, '/$1/')],
  );
  return [...new Set(all)];
}

/** dpkg-query(1): 1 when some path belongs to no package, more when it could not tell. */
const DPKG_NONE = 1;

/** Undefined: nobody answered, which says nothing of the paths. */
type Owners = Map<string, string> | undefined;

async function dpkgOwners(paths: readonly string[]): Promise<Owners> {
  const answer = await runTool({
    argv: ['/usr/bin/dpkg-query', '-S', '--', ...paths],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    deadlineMs: 20_000,
  });
  if (answer === undefined || answer.exit > DPKG_NONE) return undefined;
  const found = new Map<string, string>();
  // `libc6-dev:amd64: /usr/include/stdio.h`, several packages by commas for a shared folder; diversions are skipped.
  for (const line of answer.stdout.split('\n')) {
    const at = line.indexOf(': /');
    if (at <= 0 || line.startsWith('diversion ')) continue;
    const owner = line.slice(0, at).split(', ')[0] ?? '';
    found.set(line.slice(at + 2), owner);
  }
  return found;
}

/** How to ask these managers for the owner of one file, under the name that facts have it by (src/facts/packages.ts). */
export const ownerQueries = {
  rpm: { argv: ['/usr/bin/rpm', '-qf', '--qf', `${RPM_NAME}\\n`], name: /^(\S+)$/m },
  pacman: { argv: ['/usr/bin/pacman', '-Qqo'], name: /^(\S+)$/m },
  // -q has the name alone; without it apk says `FILE is owned by NAME-VERSION-rRELEASE`.
  apk: {
    argv: ['/sbin/apk', 'info', '-qW'],
    name: /^(?:.* is owned by )?(\S+?)(?:-\d[^\s-]*-r\d+)?$/m,
  },
} as const;

async function oneByOne(
  paths: readonly string[],
  { argv, name }: { readonly argv: readonly string[]; readonly name: RegExp },
): Promise<Owners> {
  const found = new Map<string, string>();
  for (const path of paths) {
    const answer = await runTool({
      argv: [...argv, path],
      cwd: '/',
      env: { PATH: '/usr/bin:/bin:/sbin', LC_ALL: 'C' },
      deadlineMs: 5000,
    });
    if (answer === undefined) return undefined;
    const owner = answer.exit === 0 ? name.exec(answer.stdout)?.[1] : undefined;
    if (owner !== undefined) found.set(path, owner);
  }
  return found;
}

function ask(manager: Manager, paths: readonly string[]): Promise<Owners> {
  switch (manager) {
    case 'dpkg':
      return dpkgOwners(paths);
    case 'rpm':
    case 'pacman':
    case 'apk':
      return oneByOne(paths, ownerQueries[manager]);
    case 'none':
      return Promise.resolve(new Map<string, string>());
  }
}

/** Debian qualifies names by architecture where several may be installed; facts name the native one plainly. */
function plainName(owner: string, machine: MachineFacts): string {
  const plain = owner.replace(/:.*$/, '');
  return machine.packages[owner] === undefined ? plain : owner;
}

/** Questions on their way, by what will know the answers. */
const asking = new WeakMap<Map<string, string>, Promise<void>>();

/** Asks for what `known` lacks: one question at a time, since after one the next caller may have none left. */
function learn(
  known: Map<string, string>,
  paths: readonly string[],
  of: MachineFacts,
): Promise<void> {
  const before = asking.get(known)?.catch(() => undefined) ?? Promise.resolve();
  const asked = before.then(async () => {
    const unknown = paths.filter((path) => !known.has(path));
    if (unknown.length === 0) return;
    const names = new Map(unknown.map((path) => [path, spellings(path)]));
    const found = await ask(of.packageManager, [...new Set([...names.values()].flat())]);
    // What was not told now is asked again by the next command.
    for (const [path, spelt] of found === undefined ? [] : names) {
      const owner = spelt.map((each) => found?.get(each)).find((each) => each !== undefined);
      known.set(path, owner === undefined ? '' : plainName(owner, of));
    }
  });
  asking.set(known, asked);
  return asked;
}

/** The package of each file; files that no package owns are absent from the result. */
export async function ownersOf(
  files: Iterable<string>,
  machine: MachineFacts,
  caches: PlanCaches,
): Promise<Map<string, string>> {
  const manager = machine.packageManager;
  const known = caches.owners.getSync(manager, (watch) => {
    for (const path of databases[manager]) watch(path);
    return new Map<string, string>();
  });
  const wanted = [...new Set(files)];
  if (wanted.some((path) => !known.has(path))) await learn(known, wanted, machine);
  const owners = new Map<string, string>();
  for (const path of wanted) {
    const owner = known.get(path);
    if (owner !== undefined && owner !== '') owners.set(path, owner);
  }
  return owners;
}
