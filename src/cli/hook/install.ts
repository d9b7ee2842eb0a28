/** `rch hook install|uninstall`: our entry in the settings of an agent. */
import { lstatSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../../base/layout.ts';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { printable } from '../render/text.ts';
import type { Context, Outcome } from '../report.ts';
import { pointOf, recipeFor, type AgentName, type Point, type Scope } from './agents.ts';
import { entryState, withEntry, withoutEntry, type Entry, type EntryState } from './entry.ts';
import {
  allRecords,
  backupOf,
  forget,
  install,
  readSettings,
  recordOf,
  textBefore,
  uninstall,
  type HookRecord,
} from './settings-file.ts';

export type HookOptions = { readonly agent: AgentName; readonly scope: Scope };

export const hookProgram = (layout: Layout): string => join(layout.lib, 'rch-hook');

/** The command for an agent's shell. */
function commandFor(layout: Layout, point: Point): string {
  const program = hookProgram(layout);
  const quoted = /^[\w./+-]+$/.test(program) ? program : `'${program.replaceAll("'", "'\\''")}'`;
  return quoted + point.args;
}

export function entryFor(layout: Layout, point: Point): Entry {
  return { point, command: commandFor(layout, point) };
}

/** The settings file of a scope; a failure where the agent has none such. */
export function fileFor(
  { env }: Context,
  point: Point,
  scope: Scope,
  folder = process.cwd(),
): Result<string> {
  if (!point.scopes.includes(scope))
    return fail(`${point.title} has no ${scope} settings file`, 'rch hook install --project');
  const home = env['HOME'] ?? '/';
  const moved = point.moved === undefined ? '' : (env[point.moved] ?? '');
  const config = moved === '' ? join(home, point.folder) : moved;
  return ok(point.file(scope, { home, config, project: folder }));
}

/** The launcher under its other name. */
function linkProgram(layout: Layout): Result<void> {
  const link = hookProgram(layout);
  try {
    if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true)
      if (readlinkSync(link) === 'rch-shim') return ok(undefined);
    const fresh = `${link}.new`;
    rmSync(fresh, { force: true });
    symlinkSync('rch-shim', fresh);
    renameSync(fresh, link);
    return ok(undefined);
  } catch (thrown) {
    return fail(`${link} cannot be made: ${messageOf(thrown)}`, './install.sh');
  }
}

const unreadable = (
  file: string,
  reason: string,
): { ok: false; failure: { reason: string; next: string } } => ({
  ok: false,
  failure: {
    reason: `${file}: ${reason}; the file was left as it is`,
    next: 'mend the file, then do this again',
  },
});

/** For an agent without a point: what helps instead. */
export function recipeReport({ layout, env }: Context, agent: AgentName): Outcome {
  const recipe = recipeFor(agent, layout.shims, env['PATH'] ?? '/usr/bin:/bin');
  return ok({
    facts: { agent, offers: 'recipe', change: 'none', recipe },
    text: () => recipe.join('\n'),
  });
}

export function hookInstall(context: Context, options: HookOptions): Outcome {
  const { layout } = context;
  const point = pointOf(options.agent);
  if (point === undefined) return recipeReport(context, options.agent);
  const file = fileFor(context, point, options.scope);
  if (!file.ok) return file;
  const read = readSettings(file.value);
  if (!read.ok) return unreadable(file.value, read.failure.reason);
  const before = read.value;
  const entry = entryFor(layout, point);
  const state = entryState(before ?? '', point);
  const after = withEntry(before ?? '', entry);
  if (!state.ok) return unreadable(file.value, state.failure.reason);
  if (!after.ok) return unreadable(file.value, after.failure.reason);
  const linked = linkProgram(layout);
  if (!linked.ok) return linked;
  const renews = state.value.command !== null;
  const change = after.value === before ? 'unchanged' : renews ? 'renewed' : 'added';
  if (change !== 'unchanged') {
    const text =
      after.value.endsWith('\n') || before !== undefined ? after.value : `${after.value}\n`;
    const at = { agent: options.agent, file: file.value };
    const written = install(layout, at, { before, after: text, renews });
    if (!written.ok) return written;
  }
  return ok(installed(context, options, { file: file.value, change, state: state.value, entry }));
}

/** A rule that a changed line may no longer match. */
export const spanningNote = (rule: string): string =>
  `note: the rule ${printable(rule)} is for several commands at once, and does not match a line that the hook changed; write it for one command`;

type Installed = {
  readonly file: string;
  readonly change: 'added' | 'renewed' | 'unchanged';
  /** Before the change. */
  readonly state: EntryState;
  readonly entry: Entry;
};

function installed(
  { layout }: Context,
  { agent, scope }: HookOptions,
  { file, change, state, entry }: Installed,
): { facts: unknown; text: () => string } {
  const known = recordOf(layout, file);
  const backup = known?.existed === true ? backupOf(layout, file) : null;
  const { point, command } = entry;
  return {
    facts: {
      agent,
      offers: 'hook',
      scope,
      file,
      change,
      command,
      backup,
      spanning: state.spanning,
    },
    text: () =>
      [
        `${change === 'unchanged' ? 'as it was' : change}: rch-hook, before all other hooks, in ${printable(file)}`,
        ...(backup === null || change === 'unchanged'
          ? []
          : [`as it was before: ${printable(backup)}`]),
        ...(change === 'unchanged' ? [] : [`new sessions of ${point.title} use it`]),
        ...(state.disabled ? ['note: this file turns all hooks off ("disableAllHooks")'] : []),
        ...state.spanning.map(spanningNote),
        ...(scope === 'project'
          ? ['note: the entry names a folder of yours; --local keeps it out of what others share']
          : []),
        point.rules,
        'With `rch shim install` none of this is needed: where the shims are on PATH, the hook does nothing.',
      ].join('\n'),
  };
}

/** What the file should say without us; undefined: it should not be there. */
function restored(
  layout: Layout,
  point: Point,
  file: string,
  text: string,
): Result<string | undefined> {
  const known = recordOf(layout, file);
  const before = known === undefined ? undefined : textBefore(layout, known);
  const ours = withEntry(before ?? '', entryFor(layout, point));
  // Nothing else changed since: back to the bytes of before.
  if (known !== undefined && ours.ok && ours.value === (known.existed ? text : text.trimEnd()))
    return ok(before);
  return withoutEntry(text, point, before);
}

type Removed = { readonly file: string; readonly change: 'removed' | 'unchanged' };

function removeFrom(layout: Layout, point: Point, file: string): Result<Removed> {
  const read = readSettings(file);
  if (!read.ok) return unreadable(file, read.failure.reason);
  const before = read.value;
  if (before === undefined) {
    forget(layout, file);
    return ok({ file, change: 'unchanged' });
  }
  const state = entryState(before, point);
  if (!state.ok) return unreadable(file, state.failure.reason);
  if (state.value.command === null) {
    forget(layout, file);
    return ok({ file, change: 'unchanged' });
  }
  const after = restored(layout, point, file, before);
  if (!after.ok) return unreadable(file, after.failure.reason);
  const written = uninstall(layout, file, { before, after: after.value });
  return written.ok ? ok({ file, change: 'removed' }) : written;
}

function removedReport(agent: AgentName | 'all', removed: readonly Removed[]): Outcome {
  return ok({
    facts: { agent, offers: 'hook', removed },
    text: () =>
      removed.length === 0
        ? 'no settings file holds rch-hook'
        : removed
            .map(({ file, change }) =>
              change === 'removed'
                ? `removed rch-hook from ${printable(file)}`
                : `rch-hook was not in ${printable(file)}`,
            )
            .join('\n'),
  });
}

export function hookUninstall(context: Context, options: HookOptions): Outcome {
  const point = pointOf(options.agent);
  if (point === undefined) return recipeReport(context, options.agent);
  const file = fileFor(context, point, options.scope);
  if (!file.ok) return file;
  const removed = removeFrom(context.layout, point, file.value);
  return removed.ok ? removedReport(options.agent, [removed.value]) : removed;
}

/** Out of every file that we put it into. */
export function hookUninstallAll({ layout }: Context): Outcome {
  const removed: Removed[] = [];
  const failed: string[] = [];
  for (const { agent, file } of allRecords(layout) satisfies HookRecord[]) {
    const point = pointOf(agent);
    if (point === undefined) continue;
    const result = removeFrom(layout, point, file);
    if (result.ok) removed.push(result.value);
    else failed.push(result.failure.reason);
  }
  return failed.length > 0
    ? fail(failed.join('\n'), 'take the entry with rch-hook out by hand')
    : removedReport('all', removed);
}
