/** What every command of the command line has in common. */
import { InvalidArgumentError, type Command } from 'commander';
import type { Run } from './perform.ts';

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

export type Bind = (run: Run) => (...all: unknown[]) => Promise<void>;

/** Parses a whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least)
      throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
    return value;
  };
}
