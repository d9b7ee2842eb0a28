/** Whether a worker is the same machine as this one as far as a command can tell. */
import type { AgentFacts, MachineFacts, ToolFacts } from '../../src/protocol/facts.ts';
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

function packageReason(
  requirement: Extract<Requirement, { kind: 'package' }>,
  local: MachineFacts,
  worker: AgentFacts,
): string | undefined {
  const { name, why } = requirement;
  if (worker.packageManager !== local.packageManager)
    return `packages are kept by ${worker.packageManager} there and by ${local.packageManager} here; ${why}`;
  const here = local.packages[name];
  const there = worker.packages[name];
  if (here === there) return undefined;
  if (requirement.exact === 'series' && here !== undefined && there !== undefined)
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
    case 'tool':
      return toolReason(requirement, local, worker);
    case 'package':
      return packageReason(requirement, local, worker);
  }
}

/** The first reason why the worker may not run the command, or undefined when it may. */
export function eligible(
  requirements: readonly Requirement[],
  local: MachineFacts,
  worker: AgentFacts,
): string | undefined {
  for (const requirement of requirements) {
    const reason = reasonOf(requirement, local, worker);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The tools that facts must have before these requirements can be judged. */
export function toolsOf(requirements: readonly Requirement[]): string[] {
  return [...new Set(requirements.flatMap((each) => (each.kind === 'tool' ? [each.name] : [])))];
}
