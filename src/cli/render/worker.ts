/** What a probe found out, and what would make a worker fit for more. */
import type { ToolFacts } from '../../protocol/facts.ts';
import type { WorkerStatus } from '../../protocol/methods.ts';
import type { Look } from '../report.ts';
import { withOf } from '../workers/managers.ts';
import type { Survey } from '../workers/survey.ts';
import { compareTools } from '../workers/tools.ts';
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

/** What a probe knows: the agent's facts, those of a shell of the worker, and how much the way there carries. */
export type Probed = WorkerStatus & {
  /** Null where its shell did not answer. */
  readonly shell: Survey | null;
  /** Bytes a second, there and back at once; null where it was not measured. */
  readonly rate: number | null;
};

type Facts = NonNullable<WorkerStatus['facts']>;

function toolLines(facts: Facts): string[] {
  const found = facts.tools.filter((tool) => tool.path !== '');
  const width = Math.max(0, ...found.map((tool) => tool.name.length));
  return found.map((tool) => `  ${tool.name.padEnd(width)}  ${printable(tool.version)}`);
}

const sandboxWords: Readonly<Record<Facts['sandbox']['method'], string>> = {
  namespaces: 'own namespaces',
  bubblewrap: 'bubblewrap',
  folder: 'real folders at the same paths, only for compiler calls',
  none: 'none works, so it cannot be used',
};

/** Its own Node, or ours where it has none that is new enough. */
function nodeWords(facts: Facts, shell: Survey | null): string {
  const own = shell?.node ?? '';
  if (own === '') return `${facts.node}, brought there: it has none of its own`;
  return own === facts.node ? `${own}, its own` : `${facts.node}, brought there: its own is ${own}`;
}

/** What the tools of this machine, and those that were asked for, are measured by. */
export type Measure = {
  readonly asked: readonly string[];
  readonly here: readonly ToolFacts[];
};

/** What is missing or of another version, each with what would mend it. */
function toolMends(id: string, facts: Facts, { asked, here }: Measure, look: Look): string[] {
  const { colors } = look;
  const { lacking, differing } = compareTools(here, facts.tools);
  const there = new Set(facts.tools.filter((tool) => tool.path !== '').map((tool) => tool.name));
  const named = asked.filter((name) => !there.has(name));
  const missing = [...new Set([...lacking, ...named])];
  const others = differing.map(({ name }) => name).join(' ');
  return [
    ...(missing.length === 0
      ? []
      : [
          `missing   ${colors.yellow(missing.join(' '))}: commands that need them run elsewhere`,
          `          rch workers setup ${id} --with ${withOf(missing)}`,
        ]),
    ...(others === ''
      ? []
      : [
          `versions  ${colors.yellow(others)}: another one than here, so commands that need them run elsewhere`,
          `          rch workers sync ${id}`,
        ]),
  ];
}

function sandboxLines(id: string, { sandbox }: Facts, { colors }: Look): string[] {
  const { method, mend } = sandbox;
  const good = method === 'namespaces' || method === 'bubblewrap';
  return [
    `sandbox   ${method === 'none' ? colors.red(sandboxWords[method]) : sandboxWords[method]}`,
    ...(mend === '' ? [] : [`          ${mend}`]),
    ...(good ? [] : [`          rch workers setup ${id}`]),
  ];
}

function factLines(worker: Probed, facts: Facts, measure: Measure, look: Look): string[] {
  const none = facts.tools.every((tool) => tool.path === '');
  return [
    `machine   ${facts.hostname}, ${facts.system}, ${facts.arch}, kernel ${facts.kernel}`,
    `cores     ${facts.cores}`,
    `memory    ${size(facts.memory)}`,
    `disk      ${size(facts.diskFree)} free`,
    `libc      ${facts.libc}`,
    `account   ${facts.user}`,
    `node      ${nodeWords(facts, worker.shell)}`,
    ...sandboxLines(worker.id, facts, look),
    none ? 'tools     none of those asked for' : 'tools',
    ...toolLines(facts),
    ...toolMends(worker.id, facts, measure, look),
  ];
}

export function probeText(worker: Probed, measure: Measure, look: Look): string {
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
    ...(worker.rate === null ? [] : [`rate      ${size(worker.rate)}/s, there and back at once`]),
    ...(worker.facts === null ? [] : factLines(worker, worker.facts, measure, look)),
    ...(worker.next === '' ? [] : [`next      ${worker.next}`]),
  ].join('\n');
}
