/** The package managers of workers: how each installs and queries, what it calls the tools, and which versions it takes. */
import type { MachineFacts } from '../../protocol/facts.ts';
import { quoted } from './step.ts';
import type { ManagerName } from './survey.ts';

export type Manager = {
  readonly name: ManagerName;
  /** Whose list of installed packages it keeps (src/facts/packages.ts). */
  readonly database: MachineFacts['packageManager'];
  /** A line for sh that fetches the lists of packages; undefined where installing does so. */
  readonly refresh: string | undefined;
  /** The argv before the packages. */
  readonly install: readonly string[];
  /** Words behind it that let it take older packages than it has; undefined: it has the newest alone. */
  readonly older: readonly string[] | undefined;
  /** A package in one version, as a word behind `install`. */
  readonly pin: (name: string, version: string) => string;
  /** A line for sh that ends with 0 when the package is installed. */
  readonly query: (name: string) => string;
  /** Whether root must run it; brew refuses to be run by root. */
  readonly root: boolean;
  /** Packages of a tool where they are not called as the tool is. An empty list: there is none. */
  readonly packages: Readonly<Record<string, readonly string[]>>;
  /** Packages of one major version of a compiler beside the default one; an empty list: there is none. */
  readonly versioned: Readonly<Record<'gcc' | 'clang', (major: string) => readonly string[]>>;
};

const equals = (name: string, version: string): string => `${name}=${version}`;

/** For up to two minutes while another apt-get has the lists: its own option waits for dpkg's lock alone. */
const aptUpdate =
  "n=0; while LC_ALL=C apt-get update -q 2>&1 | awk '{ print } /Could not get lock/ { l = 1 } END { exit !l }' && " +
  '[ $n -lt 40 ]; do n=$((n+1)); sleep 3; done';

const apt: Manager = {
  name: 'apt-get',
  database: 'dpkg',
  refresh: aptUpdate,
  install: [
    ...['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '-q'],
    ...['--no-install-recommends', '-o', 'DPkg::Lock::Timeout=60'],
  ],
  older: ['--allow-downgrades'],
  pin: equals,
  // It ends with 0 for a package that was removed, too, and names one of each architecture.
  query: (name) =>
    `dpkg-query -W -f '\${db:Status-Status}\\n' ${name} 2>/dev/null | grep -qx installed`,
  root: true,
  packages: {
    gcc: ['gcc', 'libc6-dev'],
    cc: ['gcc', 'libc6-dev'],
    'g++': ['g++', 'libc6-dev'],
    'c++': ['g++', 'libc6-dev'],
    'clang++': ['clang'],
    ninja: ['ninja-build'],
    ld: ['binutils'],
    bwrap: ['bubblewrap'],
  },
  versioned: {
    gcc: (major) => [`gcc-${major}`, `g++-${major}`],
    clang: (major) => [`clang-${major}`],
  },
};

/** `gcc.x86_64` and `12.2.1-4.fc36` → `gcc-12.2.1-4.fc36.x86_64`. */
function rpmPin(name: string, version: string): string {
  const [, plain = name, arch = ''] = /^(.*)(\.[^.]+)$/.exec(name) ?? [];
  return `${plain}-${version}${arch}`;
}

const rpmQuery = (name: string): string => `rpm -q ${name} >/dev/null 2>&1`;

const dnf: Manager = {
  name: 'dnf',
  database: 'rpm',
  refresh: undefined,
  install: ['dnf', 'install', '-y'],
  older: [],
  pin: rpmPin,
  query: rpmQuery,
  root: true,
  packages: {
    gcc: ['gcc', 'glibc-devel'],
    cc: ['gcc', 'glibc-devel'],
    'g++': ['gcc-c++'],
    'c++': ['gcc-c++'],
    'clang++': ['clang'],
    ninja: ['ninja-build'],
    'pkg-config': ['pkgconf-pkg-config'],
    ld: ['binutils'],
    bwrap: ['bubblewrap'],
  },
  versioned: { gcc: () => [], clang: (major) => [`clang${major}`] },
};

const pacman: Manager = {
  name: 'pacman',
  database: 'pacman',
  // Without the whole system, a fresh list alone may bring libraries that do not fit it (Arch: no partial upgrades).
  refresh: undefined,
  install: ['pacman', '-S', '--needed', '--noconfirm'],
  older: undefined,
  pin: equals,
  query: (name) => `pacman -Q ${name} >/dev/null 2>&1`,
  root: true,
  packages: {
    cc: ['gcc'],
    'g++': ['gcc'],
    'c++': ['gcc'],
    'clang++': ['clang'],
    'pkg-config': ['pkgconf'],
    ld: ['binutils'],
    bwrap: ['bubblewrap'],
  },
  versioned: { gcc: (major) => [`gcc${major}`], clang: (major) => [`clang${major}`] },
};

const zypper: Manager = {
  name: 'zypper',
  database: 'rpm',
  refresh: 'zypper --non-interactive refresh || true',
  install: ['zypper', '--non-interactive', 'install'],
  older: ['--oldpackage'],
  pin: equals,
  query: rpmQuery,
  root: true,
  packages: {
    gcc: ['gcc', 'glibc-devel'],
    cc: ['gcc', 'glibc-devel'],
    'g++': ['gcc-c++'],
    'c++': ['gcc-c++'],
    'clang++': ['clang'],
    ld: ['binutils'],
    bwrap: ['bubblewrap'],
  },
  versioned: {
    gcc: (major) => [`gcc${major}`, `gcc${major}-c++`],
    clang: (major) => [`clang${major}`],
  },
};

const apk: Manager = {
  name: 'apk',
  database: 'apk',
  refresh: 'apk update || true',
  install: ['apk', 'add'],
  older: [],
  pin: equals,
  query: (name) => `apk info -e ${name} >/dev/null 2>&1`,
  root: true,
  packages: {
    gcc: ['gcc', 'musl-dev'],
    cc: ['gcc', 'musl-dev'],
    'c++': ['g++'],
    'clang++': ['clang'],
    ninja: ['ninja-build'],
    'pkg-config': ['pkgconf'],
    ld: ['binutils'],
    bwrap: ['bubblewrap'],
  },
  versioned: { gcc: () => [], clang: (major) => [`clang${major}`] },
};

const brew: Manager = {
  name: 'brew',
  database: 'none',
  refresh: undefined,
  install: ['brew', 'install'],
  older: undefined,
  pin: equals,
  query: (name) => `brew list --versions ${name} >/dev/null 2>&1`,
  root: false,
  packages: {
    cc: ['gcc'],
    'g++': ['gcc'],
    'c++': ['gcc'],
    clang: ['llvm'],
    'clang++': ['llvm'],
    'pkg-config': ['pkgconf'],
    ld: ['binutils'],
    // Namespaces are Linux's, and setuid programs are not brew's.
    bwrap: [],
    bubblewrap: [],
  },
  versioned: { gcc: (major) => [`gcc@${major}`], clang: (major) => [`llvm@${major}`] },
};

const managers: Readonly<Record<ManagerName, Manager>> = {
  'apt-get': apt,
  ...{ dnf, pacman, zypper, apk, brew },
};

export const managerOf = (name: ManagerName): Manager => managers[name];

/** The packages of a tool; a name that is no tool we know is a package's. */
export function packagesOf(manager: Manager, tool: string): readonly string[] {
  return Object.hasOwn(manager.packages, tool) ? (manager.packages[tool] ?? []) : [tool];
}

/** Lines for sh that install these; a list of packages that cannot be fetched is told by what is then not found. */
export function installScript(manager: Manager, words: readonly string[]): string {
  const refresh = manager.refresh === undefined ? [] : [manager.refresh];
  const safe = words.map((word) => (/^[\w+.:=~@/-]+$/.test(word) ? word : quoted(word)));
  return [...refresh, [...manager.install, ...safe].join(' ')].join('\n');
}

/** Tools by the name of what to install, where the name of the tool is another's. */
const withNames: Readonly<Record<string, string>> = {
  cc: 'gcc',
  'c++': 'g++',
  'clang++': 'clang',
  ld: 'binutils',
};

/** Tools as `rch workers setup --with` takes them. */
export const withOf = (tools: readonly string[]): string =>
  [...new Set(tools.map((tool) => withNames[tool] ?? tool))].join(',');
