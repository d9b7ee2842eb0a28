/** What makes the C and C++ tools of a worker those of this machine or of toolchain.toml. Decides only. */
import type { ToolchainFile } from '../../config/toolchain-schema.ts';
import type { MachineFacts, ToolFacts } from '../../protocol/facts.ts';
import type { Owners } from './databases.ts';
import { installScript, managerOf, packagesOf, type Manager } from './managers.ts';
import type { Step } from './step.ts';
import type { ManagerName } from './survey.ts';
import { compareTools } from './tools.ts';

type Packages = Readonly<Record<string, string>>;

export type Here = {
  readonly tools: readonly ToolFacts[];
  readonly packages: Packages;
  readonly database: MachineFacts['packageManager'];
  /** By name of a tool. */
  readonly owners: ReadonlyMap<string, Owners>;
};

export type There = {
  readonly tools: readonly ToolFacts[];
  readonly packages: Packages;
  readonly managers: readonly ManagerName[];
};

export type Locks = Pick<ToolchainFile, 'cpp' | 'caching'>;

export type CppPlan = {
  readonly steps: readonly Step[];
  /** Tools that are to change, by name. */
  readonly drifting: readonly string[];
  /** What nothing can be done about, and why. */
  readonly notes: readonly string[];
};

/** Tools that toolchain.toml wants on every worker. */
export function lockedTools({ cpp, caching }: Locks): string[] {
  const { gccVersion, clangVersion } = cpp;
  return [
    ...(gccVersion === undefined ? [] : [`gcc-${gccVersion}`, `g++-${gccVersion}`]),
    ...(clangVersion === undefined ? [] : [`clang-${clangVersion}`]),
    ...[caching.rustcWrapper, caching.ccWrapper].filter((name) => name !== undefined),
  ];
}

/** The packages that hold a tool of toolchain.toml; none where the manager has no such package. */
function packagesFor(manager: Manager, tool: string): readonly string[] {
  const [, kind, major] = /^(gcc|g\+\+|clang)-(\d+)$/.exec(tool) ?? [];
  if (kind === undefined || major === undefined) return packagesOf(manager, tool);
  return manager.versioned[kind === 'clang' ? 'clang' : 'gcc'](major);
}

/** Headers that builds are compared by, as they are called here (daemon/plan/requirements.ts). */
const headers = /^(libc6-dev|linux-libc-dev|glibc-devel\..*|kernel-headers\..*|musl-dev)$/;

/** The headers of the kernel's user interface are frozen within a stable series. */
const seriesOf = (version: string): string => /^(?:\d+:)?(\d+\.\d+)/.exec(version)?.[1] ?? version;

const apart = (name: string, here: string, there: string): boolean =>
  /^(linux-libc-dev|kernel-headers)/.test(name)
    ? seriesOf(here) !== seriesOf(there)
    : here !== there;

/** `name=version` of those packages here that have another version there, or are wanted and not there. */
function pinsOf(here: Here, there: There, owners: Owners): Map<string, string> {
  const pins = new Map<string, string>();
  for (const name of owners.siblings) {
    const [ours, theirs] = [here.packages[name], there.packages[name]];
    const wanted = theirs !== undefined || owners.packages.includes(name);
    if (ours !== undefined && ours !== theirs && wanted) pins.set(name, ours);
  }
  return pins;
}

type Given = {
  readonly here: Here;
  readonly there: There;
  readonly locks: Locks;
};

type Pinned = { readonly pins: Map<string, string>; readonly plain: string[]; notes: string[] };

/** What is to be installed for one tool, or the reason why nothing can be. */
function takeTool(tool: string, given: Given, manager: Manager, into: Pinned): void {
  const { here, there } = given;
  const owners = here.owners.get(tool);
  const locked = lockedTools(given.locks).includes(tool);
  const isHere = here.tools.some(({ name }) => name === tool);
  const isThere = there.tools.some(({ name }) => name === tool);
  if (isHere && owners !== undefined && owners.packages.length > 0) {
    if (manager.database === here.database && manager.older !== undefined) {
      const pins = pinsOf(here, there, owners);
      for (const [name, version] of pins) into.pins.set(name, version);
      if (pins.size > 0) return;
      const same = owners.packages.join(' and ');
      into.notes.push(
        `${tool}: its package ${same} is the same there, so another ${tool} is first on its PATH`,
      );
      return;
    }
  }
  if (locked && !isThere) {
    const packages = packagesFor(manager, tool);
    if (packages.length > 0) into.plain.push(...packages);
    else into.notes.push(`${tool}: ${manager.name} has no package for it`);
    return;
  }
  into.notes.push(`${tool}: ${whyNot(here, owners, manager)}`);
}

function whyNot(here: Here, owners: Owners | undefined, manager: Manager): string {
  if (owners === undefined || owners.packages.length === 0)
    return 'no package owns it here, so its version cannot be had elsewhere';
  if (manager.database !== here.database)
    return `packages are kept by ${manager.database} there and by ${here.database} here, so no version is the same`;
  return `${manager.name} has the newest version alone: bring both machines to that`;
}

/** The headers that differ, with all that was built together with them. */
function headerPins({ here, there }: Given): Map<string, string> {
  const pins = new Map<string, string>();
  for (const [name, ours] of Object.entries(here.packages)) {
    const theirs = there.packages[name];
    if (!headers.test(name) || theirs === undefined || !apart(name, ours, theirs)) continue;
    const owners = here.owners.get(name) ?? { packages: [name], siblings: [name] };
    for (const [each, version] of pinsOf(here, there, owners)) pins.set(each, version);
  }
  return pins;
}

/** The names whose owners `cppPlan` needs to know: tools here, and packages of headers. */
export const headerPackages = (packages: Packages): string[] =>
  Object.keys(packages).filter((name) => headers.test(name));

function stepOf(
  id: 'versions' | 'headers',
  words: readonly string[],
  manager: Manager,
  why: string,
): Step[] {
  if (words.length === 0) return [];
  // Libraries that everything there stands on are not set back.
  const older = id === 'versions' ? (manager.older ?? []) : [];
  return [
    {
      id,
      what: `install ${words.join(' ')} by ${manager.name}`,
      why,
      script: installScript(manager, [...older, ...words]),
      root: manager.root,
    },
  ];
}

/** A tool that both have is brought to the version here; what toolchain.toml names is brought in any case. */
export function cppPlan(given: Given): CppPlan {
  const { here, there, locks } = given;
  const locked = lockedTools(locks);
  const { differing } = compareTools(here.tools, there.tools);
  const absent = locked.filter((tool) => !there.tools.some(({ name }) => name === tool));
  const drifting = [...new Set([...differing.map(({ name }) => name), ...absent])];
  const [name] = there.managers;
  const manager = name === undefined ? undefined : managerOf(name);
  if (manager === undefined) {
    const why = 'it has none of apt-get, dnf, pacman, zypper, apk and brew';
    const notes = drifting.map((tool) => `${tool}: ${why}`);
    return { steps: [], drifting, notes };
  }
  const into: Pinned = { pins: new Map(), plain: [], notes: [] };
  for (const tool of drifting) takeTool(tool, given, manager, into);
  const comparable = manager.database === here.database && manager.older !== undefined;
  const late = comparable ? headerPins(given) : new Map<string, string>();
  const word = ([each, version]: readonly [string, string]): string => manager.pin(each, version);
  const pins = [...into.pins].map(word);
  const headers = [...late].filter(([each]) => !into.pins.has(each)).map(word);
  return {
    steps: [
      ...stepOf(
        'versions',
        [...pins, ...new Set(into.plain)],
        manager,
        `${drifting.join(', ')}: not as here or in toolchain.toml`,
      ),
      ...stepOf('headers', headers, manager, 'builds are compared by these headers'),
    ],
    drifting,
    notes: [
      ...into.notes,
      ...locked
        .filter((tool) => !here.tools.some((each) => each.name === tool))
        .map((tool) => `${tool}: this machine has none, so nothing here can use that of a worker`),
    ],
  };
}
