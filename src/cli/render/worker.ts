/** What a probe found out, and what would make a worker fit for more. */
import type { WorkerStatus } from '../../protocol/methods.ts';
import type { Look } from '../report.ts';
import { count, duration, printable, size } from './text.ts';

/** Tools that are not shipped: a command that needs one runs there only if it is there. */
export const compilers = [
  'gcc',
  'g++',
  'cc',
  'c++',
  'clang',
  'clang++',
  'ld',
  'make',
  'cmake',
  'ninja',
  'meson',
  'pkg-config',
] as const;

/** Debian's packages of them. */
const packageOf: Readonly<Record<string, string>> = {
  gcc: 'gcc',
  cc: 'gcc',
  'g++': 'g++',
  'c++': 'g++',
  clang: 'clang',
  'clang++': 'clang',
  ld: 'binutils',
  make: 'make',
  cmake: 'cmake',
  ninja: 'ninja-build',
  meson: 'meson',
  'pkg-config': 'pkg-config',
};

type Facts = NonNullable<WorkerStatus['facts']>;

function toolLines(facts: Facts): string[] {
  const found = facts.tools.filter((tool) => tool.path !== '');
  const width = Math.max(0, ...found.map((tool) => tool.name.length));
  return found.map((tool) => `  ${tool.name.padEnd(width)}  ${printable(tool.version)}`);
}

/** What to install there for the tools it lacks, for its package manager where we know the names. */
export function mendFor(missing: readonly string[], system: string): string {
  const packages = [...new Set(missing.map((tool) => packageOf[tool] ?? tool))];
  return /debian|ubuntu|mint|raspbian/i.test(system)
    ? `sudo apt-get install ${packages.join(' ')}`
    : `install ${packages.join(' ')} (Debian's names) with its package manager`;
}

const sandboxWords: Readonly<Record<Facts['sandbox']['method'], string>> = {
  namespaces: 'own namespaces',
  bubblewrap: 'bubblewrap',
  folder: 'real folders at the same paths',
  none: 'none works, so it cannot be used',
};

function factLines(facts: Facts, asked: readonly string[], { colors }: Look): string[] {
  const present = new Set(facts.tools.filter((tool) => tool.path !== '').map((tool) => tool.name));
  const missing = asked.filter((tool) => !present.has(tool));
  const { method, mend } = facts.sandbox;
  return [
    `machine   ${facts.hostname}, ${facts.system}, ${facts.arch}, kernel ${facts.kernel}`,
    `cores     ${facts.cores}`,
    `memory    ${size(facts.memory)}`,
    `disk      ${size(facts.diskFree)} free`,
    `libc      ${facts.libc}`,
    `account   ${facts.user}`,
    `node      ${facts.node}`,
    `sandbox   ${method === 'none' ? colors.red(sandboxWords[method]) : sandboxWords[method]}`,
    ...(mend === '' ? [] : [`          ${mend}`]),
    present.size === 0 ? 'tools     none of those asked for' : 'tools',
    ...toolLines(facts),
    ...(missing.length === 0
      ? []
      : [
          `missing   ${colors.yellow(missing.join(' '))}: commands that need them run elsewhere`,
          `          ${mendFor(missing, facts.system)}`,
        ]),
  ];
}

export function probeText(worker: WorkerStatus, asked: readonly string[], look: Look): string {
  const { colors } = look;
  const slots = worker.slots === null ? '' : `, ${count(worker.slots.total, 'slot')}`;
  const wrong = worker.troubles.length > 0 ? worker.troubles : worker.reason === '' ? [] : [worker];
  const reasons = wrong.map(({ reason }) => reason).join('; ');
  const head = `${worker.id}: ${reasons === '' ? colors.green(worker.state) : colors.yellow(`${worker.state}, but ${reasons}`)}${slots}`;
  return [
    colors.bold(head),
    ...(worker.roundTripMs === null
      ? []
      : [`distance  ${duration(worker.roundTripMs)} there and back`]),
    ...(worker.clockOffsetMs === null
      ? []
      : [
          `clock     ${Math.abs(worker.clockOffsetMs).toFixed(1)} ms ${worker.clockOffsetMs < 0 ? 'behind' : 'ahead of'} ours`,
        ]),
    ...(worker.facts === null ? [] : factLines(worker.facts, asked, look)),
    ...(worker.next === '' ? [] : [`next      ${worker.next}`]),
  ].join('\n');
}
