/** What every command of the command line has in common. */
import { InvalidArgumentError, type Command } from 'commander';
import type { Options, Run } from './perform.ts';

/** Options that may stand before the command and after it. */
export function common(command: Command): Command {
  return command
    .option('--json', 'print facts as JSON')
    .option('-v, --verbose', 'say more, on standard error')
    .option('-q, --quiet', 'say nothing but errors')
    .option('--no-color', 'plain text (NO_COLOR and FORCE_COLOR are honoured too)');
}

/** Adds what every command has. */
export function leaf(parent: Command, spec: string, about: string): Command {
  return common(parent.command(spec).description(about));
}

/** Has the command refuse a use that `wrong` names a reason against, as one that commander refuses itself. */
export function refusing(
  command: Command,
  wrong: (options: Options, args: readonly string[]) => string | undefined,
): Command {
  return command.hook('preAction', () => {
    const reason = wrong(command.opts(), command.args);
    if (reason !== undefined) command.error(`error: ${reason}`);
  });
}

export type Bind = (run: Run) => (...all: unknown[]) => Promise<void>;

/** Parses a whole number from `least` to `most`. */
export function wholeNumber(least: number, most = Infinity): (text: string) => number {
  const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number ${range}.`);
    return value;
  };
}
