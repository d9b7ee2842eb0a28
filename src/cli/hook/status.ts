/** `rch hook status`: where the hook is, and whether it has anything to do. */
import { existsSync } from 'node:fs';
import { ok } from '../../base/result.ts';
import { printable } from '../render/text.ts';
import { shimsOnPath } from '../shim/tools.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { pointOf, type AgentName, type Point, type Scope } from './agents.ts';
import { entryState } from './entry.ts';
import { entryFor, fileFor, hookProgram, recipeReport, spanningNote } from './install.ts';
import { readSettings } from './settings-file.ts';

export type HookRow = {
  readonly scope: Scope;
  readonly file: string;
  readonly installed: boolean;
  readonly first: boolean;
  /** It is told of the beginning of sessions too. */
  readonly whole: boolean;
  readonly command: string | null;
  readonly disabled: boolean;
  readonly spanning: readonly string[];
  /** Why the file cannot be read; empty when it can. */
  readonly problem: string;
};

function rowOf(context: Context, point: Point, scope: Scope): HookRow | undefined {
  const file = fileFor(context, point, scope);
  if (!file.ok) return undefined;
  const none = {
    installed: false,
    first: false,
    whole: false,
    command: null,
    disabled: false,
    spanning: [],
  };
  const read = readSettings(file.value);
  if (!read.ok) return { scope, file: file.value, ...none, problem: read.failure.reason };
  const state = entryState(read.value ?? '', point);
  if (!state.ok) return { scope, file: file.value, ...none, problem: state.failure.reason };
  return {
    ...{ scope, file: file.value, ...state.value },
    ...{ installed: state.value.command !== null, problem: '' },
  };
}

function lineOf(row: HookRow, wanted: string): string {
  const said =
    row.problem !== ''
      ? `cannot be read: ${row.problem}`
      : !row.installed
        ? 'not installed'
        : row.disabled
          ? 'installed, but the file turns all hooks off'
          : row.command !== wanted
            ? 'installed by another installation: rch hook install renews it'
            : !row.first
              ? 'installed, but other hooks stand before it: rch hook install mends that'
              : row.whole
                ? 'installed'
                : 'installed, but not for the beginning of sessions: rch hook install mends that';
  return `${row.scope.padEnd(8)}${printable(row.file)}: ${said}`;
}

/** Its state in each settings file that the agent has; none for an agent without a hook of use. */
export function hookRows(context: Context, agent: AgentName): HookRow[] {
  const point = pointOf(agent);
  return point === undefined
    ? []
    : point.scopes.flatMap((scope) => rowOf(context, point, scope) ?? []);
}

export function hookStatus(context: Context, agent: AgentName): Outcome {
  const { layout, env } = context;
  const point = pointOf(agent);
  if (point === undefined) return recipeReport(context, agent);
  const rows = hookRows(context, agent);
  const program = hookProgram(layout);
  const onPath = shimsOnPath(layout, env['PATH'] ?? '');
  const { command } = entryFor(layout, point);
  const missing = rows.some((row) => row.installed) && !existsSync(program);
  return ok({
    facts: {
      ...{ agent, offers: 'hook', installed: rows.some((row) => row.installed), files: rows },
      ...{
        program,
        program_exists: existsSync(program),
        shims: layout.shims,
        shims_on_path: onPath,
      },
    },
    text: ({ colors }) =>
      [
        `${point.title}:`,
        ...rows.map((row) => `  ${lineOf(row, command)}`),
        ...rows.flatMap((row) => row.spanning).map(spanningNote),
        ...(missing ? [colors.red(`${program} is missing: rch hook install`)] : []),
        onPath
          ? 'the shims are on this PATH: for an agent started here, the hook has nothing to do'
          : 'the shims are not on this PATH: the hook puts them there',
      ].join('\n'),
    exit: rows.some((row) => row.problem !== '') ? exitCodes.failed : exitCodes.done,
  });
}
