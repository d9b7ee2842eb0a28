/** Between commander and a command: makes its context, and prints what it reports. */
import type { Command } from 'commander';
import { createColors } from 'picocolors';
import { layoutOf } from '../base/layout.ts';
import { printFailure, wantsColor } from './failure.ts';
import { exitCodes, type Context, type Outcome } from './report.ts';

export type Options = Readonly<Record<string, unknown>>;
export type Run = (context: Context, options: Options, args: readonly string[]) => Promise<Outcome>;

/** Nothing is cut for a reader that has no columns, nor for a terminal that does not know its own. */
function widthOf({ isTTY, columns }: NodeJS.WriteStream): number {
  return isTTY && columns > 0 ? columns : Infinity;
}

function contextFor(moduleUrl: string, options: Options): Context {
  const json = options['json'] === true;
  const colors = createColors(
    !json && options['color'] !== false && wantsColor(process.env, process.stdout),
  );
  return {
    layout: layoutOf(process.env, moduleUrl),
    env: process.env,
    version: process.env['RCH_BUILD_VERSION'] ?? '0.0.0',
    json,
    verbose: options['verbose'] === true,
    look: { colors, width: widthOf(process.stdout) },
    note: (text) => {
      if (!json && options['quiet'] !== true) process.stderr.write(`${text}\n`);
    },
  };
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
      process.exitCode ??= outcome.failure.exit ?? exitCodes.failed;
      return;
    }
    const { facts, text, exit } = outcome.value;
    const shown = context.json ? JSON.stringify(facts, null, 2) : text(context.look);
    const silent = options['quiet'] === true && !context.json;
    if (shown !== '' && !silent) process.stdout.write(`${shown}\n`);
    process.exitCode = exit ?? exitCodes.done;
  };
}
