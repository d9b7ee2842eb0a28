/** Whether a worker is the same machine as this one as far as a command can tell. */
import type { AgentFacts, MachineFacts, ToolFacts } from '../../src/protocol/facts.ts';
import { isInstruction } from './instructions.ts';
import type { Requirement } from './requirement.ts';

/** The tool of that name when it is the one at `path`. */
function toolAt(facts: MachineFacts, name: string, path: string): ToolFacts | undefined {
  return facts.tools.find((tool) => tool.name === name && tool.path === path);
}

function toolReason(
  requirement: Extract<Requirement, { kind: 'tool' }>,
  local: MachineFacts,
  worker: AgentFacts,
): string | undefined {
  const { name, path, why } = requirement;
  const here = toolAt(local, name, path);
  if (here === undefined) return `${name} (${path}) was not probed here; ${why}`;
  const there = worker.tools.find((tool) => tool.name === name);
  if (there === undefined) return `the worker has no ${name}; ${why}`;
  if (there.path !== path) return `${name} is ${there.path} there and ${path} here`;
  if (there.version !== here.version)
    return `${name} is "${there.version}" there and "${here.version}" here; ${why}`;
  if (there.target !== here.target)
    return `${name} compiles for ${there.target} there and for ${here.target} here`;
  return undefined;
}

/** `1:6.1.187-1` → `6.1`. */
function seriesOf(version: string): string {
  return /^(?:\d+:)?(\d+\.\d+)/.exec(version)?.[1] ?? version;
}

type Packages = MachineFacts['packages'];

/** By the packages of a worker, as it told them: which differ from those here. Neither list ever changes. */
const compared = new WeakMap<Packages, { readonly here: Packages; readonly names: Set<string> }>();

/** Names of packages of which only one side has any, or the two have different versions. */
function differing(here: Packages, there: Packages): ReadonlySet<string> {
  const known = compared.get(there);
  if (known?.here === here) return known.names;
  const all = [...Object.keys(here), ...Object.keys(there)];
  const names = new Set(all.filter((name) => here[name] !== there[name]));
  compared.set(there, { here, names });
  return names;
}

type PackageRequirement = Extract<Requirement, { kind: 'package' }>;

function packageReason(
  { name, exact, why }: PackageRequirement,
  local: MachineFacts,
  worker: AgentFacts,
): string | undefined {
  if (worker.packageManager !== local.packageManager)
    return `packages are kept by ${worker.packageManager} there and by ${local.packageManager} here; ${why}`;
  const here = local.packages[name];
  const there = worker.packages[name];
  // A name that neither list has was asked for by another name than lists have.
  if (here === undefined && there === undefined)
    return `neither machine's list of packages has ${name}; ${why}`;
  if (here === there) return undefined;
  if (exact === 'series' && here !== undefined && there !== undefined)
    if (seriesOf(here) === seriesOf(there)) return undefined;
  if (there === undefined) return `the worker lacks the package ${name} ${here ?? ''}; ${why}`;
  if (here === undefined)
    return `the worker has the package ${name}, which is not installed here; ${why}`;
  return `package ${name} is ${there} there and ${here} here; ${why}`;
}

function cpuReason(why: string, local: MachineFacts, worker: AgentFacts): string | undefined {
  if (worker.cpuModel !== local.cpuModel)
    return `the worker's CPU is another (${worker.cpuModel}, here ${local.cpuModel}); ${why}`;
  if (worker.cpuFlags.join(' ') !== local.cpuFlags.join(' '))
    return `the worker's CPU has other features; ${why}`;
  return undefined;
}

function instructionsReason(
  why: string,
  local: MachineFacts,
  worker: AgentFacts,
): string | undefined {
  const there = new Set(worker.cpuFlags);
  const lacking = local.cpuFlags.filter((flag) => isInstruction(flag) && !there.has(flag));
  return lacking.length === 0
    ? undefined
    : `the worker's CPU lacks ${lacking.slice(0, 3).join(', ')}; ${why}`;
}

function absentReason(
  paths: readonly string[],
  why: string,
  worker: AgentFacts,
): string | undefined {
  for (const path of paths) {
    const there = worker.paths?.[path];
    if (there === undefined) return `the worker has not told whether it has ${path}; ${why}`;
    if (there) return `the worker has ${path}, which is not here; ${why}`;
  }
  return undefined;
}

function leadsReason(
  { path, to, why }: Extract<Requirement, { kind: 'leads' }>,
  worker: AgentFacts,
): string | undefined {
  if (worker.paths?.[path] === undefined)
    return `the worker has not told whether it has ${path}; ${why}`;
  if (!worker.paths[path]) return `the worker has no ${path}; ${why}`;
  const there = worker.links?.[path] ?? path;
  return there === to ? undefined : `${path} is ${there} there and ${to} here; ${why}`;
}

/** Headers here too: a package's header finds them by names that no command line tells. Libraries here are asked for by name. */
function shadowReason(why: string, local: MachineFacts, worker: AgentFacts): string | undefined {
  const own = worker.shadows?.find((each) => local.shadows?.includes(each) !== true);
  const here = local.shadows?.find(
    (each) => each.includes('/include/') && worker.shadows?.includes(each) !== true,
  );
  const said = (path: string): string => `${path.replace(/ \d+$/, '')} in front of a package's own`;
  if (own !== undefined) return `the worker has ${said(own)}, and this machine not; ${why}`;
  return here === undefined
    ? undefined
    : `this machine has ${said(here)}, and the worker not; ${why}`;
}

function reasonOf(
  requirement: Requirement,
  local: MachineFacts,
  worker: AgentFacts,
): string | undefined {
  switch (requirement.kind) {
    case 'arch':
      return worker.arch === local.arch
        ? undefined
        : `the worker is ${worker.arch}, this machine ${local.arch}`;
    case 'libc':
      return worker.libc === local.libc
        ? undefined
        : `the worker has ${worker.libc}, this machine ${local.libc}`;
    case 'cpu':
      return cpuReason(requirement.why, local, worker);
    case 'instructions':
      return instructionsReason(requirement.why, local, worker);
    case 'tool':
      return toolReason(requirement, local, worker);
    case 'package':
      return packageReason(requirement, local, worker);
    case 'absent':
      return absentReason(requirement.paths, requirement.why, worker);
    case 'leads':
      return leadsReason(requirement, worker);
    case 'unshadowed':
      return shadowReason(requirement.why, local, worker);
  }
}

type Numbered<T extends Requirement> = { readonly at: number; readonly requirement: T };

type Sorted = {
  /** Names of the tools. */
  readonly tools: readonly string[];
  /** Those, and paths where nothing may be, or of links. */
  readonly asked: readonly string[];
  readonly packages: ReadonlyMap<string, readonly Numbered<PackageRequirement>[]>;
  readonly others: readonly Numbered<Requirement>[];
};

/** A list of requirements never changes, and is asked of each worker. */
const sortedLists = new WeakMap<readonly Requirement[], Sorted>();

function sorted(requirements: readonly Requirement[]): Sorted {
  const known = sortedLists.get(requirements);
  if (known !== undefined) return known;
  const packages = new Map<string, Numbered<PackageRequirement>[]>();
  const others: Numbered<Requirement>[] = [];
  for (const [at, requirement] of requirements.entries()) {
    if (requirement.kind !== 'package') others.push({ at, requirement });
    else
      packages.set(requirement.name, [
        ...(packages.get(requirement.name) ?? []),
        { at, requirement },
      ]);
  }
  const tools = requirements.flatMap((each) => (each.kind === 'tool' ? [each.name] : []));
  const paths = requirements.flatMap((each) => {
    if (each.kind === 'leads') return [each.path];
    return each.kind === 'absent' ? each.paths : [];
  });
  const asked = [...new Set([...tools, ...paths])];
  const list = { tools: [...new Set(tools)], asked, packages, others };
  sortedLists.set(requirements, list);
  return list;
}

/** The first reason why the worker may not run the command, or undefined when it may. */
export function eligible(
  requirements: readonly Requirement[],
  local: MachineFacts,
  worker: AgentFacts,
): string | undefined {
  const { packages, others } = sorted(requirements);
  // Hundreds of packages may be required, and few differ.
  const names =
    worker.packageManager === local.packageManager
      ? differing(local.packages, worker.packages)
      : packages.keys();
  const doubtful: Numbered<Requirement>[] = [...others];
  for (const name of names) doubtful.push(...(packages.get(name) ?? []));
  for (const [name, each] of packages)
    if (!Object.hasOwn(local.packages, name) && !Object.hasOwn(worker.packages, name))
      doubtful.push(...each);
  doubtful.sort((a, b) => a.at - b.at);
  for (const { requirement } of doubtful) {
    const reason = reasonOf(requirement, local, worker);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The tools that this machine's facts must have before these requirements can be judged. */
export function toolsOf(requirements: readonly Requirement[]): readonly string[] {
  return sorted(requirements).tools;
}

/** What a worker must have told of before: tools by name, and paths. */
export function askedOf(requirements: readonly Requirement[]): readonly string[] {
  return sorted(requirements).asked;
}
