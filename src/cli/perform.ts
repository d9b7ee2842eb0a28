/** Between commander and a command: makes its context, and prints what it reports. */
import type { Command } from 'commander';
import { createColors } from 'picocolors';
import { layoutOf } from '../base/layout.ts';
import type { Failure } from '../base/result.ts';
import { exitCodes, type Context, type Outcome } from './report.ts';

export type Options = Readonly<Record<string, unknown>>;
export type Run = (context: Context, options: Options, args: readonly string[]) => Promise<Outcome>;

/** NO_COLOR (no-color.org), FORCE_COLOR, --no-color; else colours on a terminal. `isTTY`: undefined is none. */
function wantsColor(
  env: Context['env'],
  options: Options,
  { isTTY }: { readonly isTTY?: boolean },
): boolean {
  if (options['color'] === false) return false;
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return env['FORCE_COLOR'] !== '0';
  // Never undefined: picocolors would then decide, and colours whatever a CI reads.
  return isTTY === true && env['TERM'] !== 'dumb';
}

function contextFor(moduleUrl: string, options: Options): Context {
  const json = options['json'] === true;
  const colors = createColors(!json && wantsColor(process.env, options, process.stdout));
  return {
    layout: layoutOf(process.env, moduleUrl),
    env: process.env,
    version: process.env['RCH_BUILD_VERSION'] ?? '0.0.0',
    json,
    verbose: options['verbose'] === true,
    look: { colors, width: process.stdout.isTTY ? process.stdout.columns : 100 },
    note: (text) => {
      if (!json && options['quiet'] !== true) process.stderr.write(`${text}\n`);
    },
  };
}

function printFailure(context: Context, failure: Failure): void {
  if (context.json) process.stdout.write(`${JSON.stringify({ error: failure }, null, 2)}\n`);
  const red = createColors(wantsColor(context.env, {}, process.stderr)).red;
  process.stderr.write(`${red('rch:')} ${failure.reason}\n`);
  if (failure.next !== undefined && failure.next !== '')
    process.stderr.write(`     next: ${failure.next}\n`);
}

/** For -v: what a report of a fault should hold. */
function printCircumstances({ version, layout }: Context, begun: number): void {
  const took = Math.round(performance.now() - begun);
  process.stderr.write(
    `rch ${version}, installed in ${layout.home}, settings in ${layout.config}; ${took} ms\n`,
  );
}

/** Wraps a command as commander's action; sets the exit code. */
export function perform(moduleUrl: string, run: Run): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    const command = all.at(-1) as Command;
    const options: Options = command.optsWithGlobals();
    // A default of the program must not undo what the command was told.
    const color = command.opts()['color'] !== false && options['color'] !== false;
    const begun = performance.now();
    const context = contextFor(moduleUrl, { ...options, color });
    const outcome = await run(context, options, command.args);
    if (context.verbose) printCircumstances(context, begun);
    if (!outcome.ok) {
      printFailure(context, outcome.failure);
      process.exitCode ??= exitCodes.failed;
      return;
    }
    const { facts, text, exit } = outcome.value;
    const shown = context.json ? JSON.stringify(facts, null, 2) : text(context.look);
    const silent = options['quiet'] === true && !context.json;
    if (shown !== '' && !silent) process.stdout.write(`${shown}\n`);
    process.exitCode = exit ?? exitCodes.done;
  };
}
