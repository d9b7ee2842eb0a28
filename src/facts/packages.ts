/** The packages installed on this machine: what a build that may run anything depends on. */
import { readFile, stat } from 'node:fs/promises';
import type { MachineFacts } from '../protocol/facts.ts';
import { ask } from './answer.ts';

export type Packages = Pick<MachineFacts, 'packages' | 'packageManager'>;

type Manager = {
  readonly name: Exclude<MachineFacts['packageManager'], 'none'>;
  /** Files or folders whose mtime changes with the set of packages; the first that exists counts. */
  readonly databases: readonly string[];
  readonly list: (path: string, database: string) => Promise<string | undefined>;
  readonly parse: (text: string) => Record<string, string>;
};

async function output(argv: readonly string[], path: string): Promise<string | undefined> {
  const answer = await ask(argv, { path, deadline: 20_000 });
  return answer?.exit === 0 ? answer.stdout : undefined;
}

function addVersion(all: Record<string, string>, name: string, version: string): void {
  const known = all[name];
  all[name] = known === undefined ? version : [...known.split(','), version].sort().join(',');
}

/** Lines `package TAB architecture TAB version TAB status`; foreign architectures keep theirs in the name. */
export function parseDpkg(text: string): Record<string, string> {
  const rows = text.split('\n').map((line) => line.split('\t'));
  const native = rows.find(([name]) => name === 'dpkg')?.[1];
  const all: Record<string, string> = {};
  for (const [name, architecture, version, status] of rows) {
    if (name === undefined || name === '' || version === undefined || status !== 'installed')
      continue;
    const foreign = architecture !== native && architecture !== 'all';
    addVersion(all, foreign ? `${name}:${architecture ?? ''}` : name, version);
  }
  return all;
}

/** Lines `name TAB version`; a name may come more than once (rpm's install-only packages). */
export function parseTabbed(text: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [name, version] = line.split(/[\t ]/, 2);
    if (name !== undefined && name !== '' && version !== undefined) addVersion(all, name, version);
  }
  return all;
}

/** apk's installed database: blocks of `P:name`, `V:version`, ended by an empty line. */
export function parseApk(text: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const block of text.split('\n\n')) {
    const name = /^P:(.+)$/m.exec(block)?.[1];
    const version = /^V:(.+)$/m.exec(block)?.[1];
    if (name !== undefined && version !== undefined) addVersion(all, name, version);
  }
  return all;
}

/** rpm's name of a package: several architectures may be installed. Both machines name it so, and whoever asks for an owner. */
export const RPM_NAME = '%{NAME}.%{ARCH}';

const managers: readonly Manager[] = [
  {
    name: 'dpkg',
    databases: ['/var/lib/dpkg/status'],
    list: (path) =>
      output(
        [
          'dpkg-query',
          '-W',
          '-f',
          '${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\n',
        ],
        path,
      ),
    parse: parseDpkg,
  },
  {
    name: 'rpm',
    databases: [
      '/usr/lib/sysimage/rpm/rpmdb.sqlite',
      '/var/lib/rpm/rpmdb.sqlite',
      '/var/lib/rpm/Packages',
    ],
    list: (path) => output(['rpm', '-qa', '--qf', `${RPM_NAME}\\t%{EVR}\\n`], path),
    parse: parseTabbed,
  },
  {
    name: 'apk',
    databases: ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'],
    list: (_path, database) => readFile(database, 'utf8').catch(() => undefined),
    parse: parseApk,
  },
  {
    name: 'pacman',
    databases: ['/var/lib/pacman/local'],
    list: (path) => output(['pacman', '-Q'], path),
    parse: parseTabbed,
  },
];

async function nameOf(database: string): Promise<string | undefined> {
  const info = await stat(database, { bigint: true }).catch(() => undefined);
  return info === undefined
    ? undefined
    : `${database} ${info.mtimeNs.toString()} ${info.ino.toString()}`;
}

/** Another one when packages came, went or changed; asks no manager. */
export async function packagesMark(): Promise<string> {
  const names = await Promise.all(
    managers.flatMap(({ databases }) => databases.map((each) => nameOf(each))),
  );
  return names.filter((each) => each !== undefined).join('\n');
}

/** Remembers the list of packages as long as the database it came from keeps its mtime. */
export class PackageList {
  #known: { readonly key: string; readonly packages: Packages } | undefined;

  /** The list, or an empty one where no known package manager answers. `path`: where to find the manager. */
  async take(path: string): Promise<Packages> {
    for (const manager of managers) {
      for (const database of manager.databases) {
        const key = await nameOf(database);
        if (key === undefined) continue;
        if (this.#known?.key === key) return this.#known.packages;
        const text = await manager.list(path, database);
        if (text === undefined) continue;
        const packages = { packageManager: manager.name, packages: manager.parse(text) };
        this.#known = { key, packages };
        return packages;
      }
    }
    return { packageManager: 'none', packages: {} };
  }
}
