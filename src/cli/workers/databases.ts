/** What lists of installed packages say: which there are on a worker, and which of them here a program belongs to. */
import { realpath } from 'node:fs/promises';
import { ask } from '../../facts/answer.ts';
import { parseApk, parseDpkg, parseTabbed } from '../../facts/packages.ts';
import type { MachineFacts, ToolFacts } from '../../protocol/facts.ts';

type Name = MachineFacts['packageManager'];
type Packages = Readonly<Record<string, string>>;

type Database = {
  /** A line for sh that prints all packages with their versions. */
  readonly list: string;
  readonly parse: (text: string) => Packages;
  /** The argv that names the package of a file, and where in its answer. */
  readonly owner: (path: string) => readonly string[];
  readonly owned: RegExp;
  /** The argv that prints each package and what it was built from, by a tab. */
  readonly sources: readonly string[];
};

const APK = '/lib/apk/db/installed';

const databases: Readonly<Partial<Record<Name, Database>>> = {
  dpkg: {
    list: "dpkg-query -W -f '${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\n'",
    parse: parseDpkg,
    owner: (path) => ['dpkg-query', '-S', '--', path],
    // `gcc-12: /usr/bin/…`, `libc6:amd64: …`; diversions are another matter.
    owned: /^(?!diversion )([^:,\s]+)[^\n]*: \//m,
    sources: ['dpkg-query', '-W', '-f', '${Package}\\t${source:Package}\\n'],
  },
  rpm: {
    list: "rpm -qa --qf '%{NAME}.%{ARCH}\\t%{EVR}\\n'",
    parse: parseTabbed,
    owner: (path) => ['rpm', '-qf', '--qf', '%{NAME}.%{ARCH}\\n', path],
    owned: /^(\S+)$/m,
    sources: ['rpm', '-qa', '--qf', '%{NAME}.%{ARCH}\\t%{SOURCERPM}\\n'],
  },
  apk: {
    list: `cat ${APK} 2>/dev/null || cat /usr${APK}`,
    parse: parseApk,
    owner: (path) => ['apk', 'info', '-qW', path],
    // By apk-tools 2 and 3 the name alone, as -q asks for.
    owned: /^(?:.* is owned by )?(\S+?)(?:-\d[^\s-]*-r\d+)?$/m,
    sources: ['sh', '-c', `sed -n 's/^P:/P /p;s/^o:/o /p' ${APK} 2>/dev/null`],
  },
};

/** A line for sh that prints the packages of such a worker; undefined where none is known. */
export const listScript = (name: Name): string | undefined => databases[name]?.list;

export const parseList = (name: Name, text: string): Packages => databases[name]?.parse(text) ?? {};

/** `name TAB source` by lines, or apk's `P name` followed by `o source`. */
export function parseSources(text: string): Map<string, string> {
  const sources = new Map<string, string>();
  let last = '';
  for (const line of text.split('\n')) {
    const [name, source] = line.split('\t');
    if (line.startsWith('P ')) last = line.slice(2);
    else if (line.startsWith('o ')) sources.set(last, line.slice(2));
    else if (name !== undefined && source !== undefined) sources.set(name, source);
  }
  return sources;
}

const LOOK_MS = 20_000;

async function answer(argv: readonly string[]): Promise<string> {
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const said = await ask(argv, { path, deadline: LOOK_MS });
  return said?.stdout ?? '';
}

async function ownerOf(database: Database, path: string): Promise<string | undefined> {
  return database.owned.exec(await answer(database.owner(path)))?.[1];
}

/** What the packages of this machine are to one tool. */
export type Owners = {
  /** The package of the program, and that of the link that leads to it. */
  readonly packages: readonly string[];
  /** All that were built together with these, they included. */
  readonly siblings: readonly string[];
};

const none: Owners = { packages: [], siblings: [] };

async function packagesOfTool(database: Database, path: string): Promise<string[]> {
  const real = await realpath(path).catch(() => path);
  const paths = [...new Set([path, real])];
  const owners = await Promise.all(paths.map((each) => ownerOf(database, each)));
  return [...new Set(owners.filter((owner) => owner !== undefined))];
}

/** The packages of each tool, by its name, and of each of `packages`; none for a tool that no package owns. */
export async function ownersOf(
  tools: readonly Pick<ToolFacts, 'name' | 'path'>[],
  packages: readonly string[],
  name: Name,
): Promise<Map<string, Owners>> {
  const database = databases[name];
  if (database === undefined) return new Map(tools.map((tool) => [tool.name, none]));
  const sources = parseSources(await answer(database.sources));
  const withSiblings = (own: readonly string[]): Owners => {
    const built = new Set(own.map((owner) => sources.get(owner)));
    const siblings = [...sources].filter(([, source]) => built.has(source)).map(([each]) => each);
    return { packages: own, siblings: [...new Set([...own, ...siblings])] };
  };
  const found = new Map(packages.map((each) => [each, withSiblings([each])]));
  for (const tool of tools)
    found.set(tool.name, withSiblings(await packagesOfTool(database, tool.path)));
  return found;
}
