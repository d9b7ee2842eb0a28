/** What every command of the command line has in common. */
import { InvalidArgumentError, type Command } from 'commander';
import type { Run } from './perform.ts';

/** Adds what every command has. */
export function leaf(parent: Command, spec: string, about: string): Command {
  return parent
    .command(spec)
    .description(about)
    .option('--json', 'print facts as JSON')
    .option('--no-color', 'plain text (NO_COLOR is honoured too)');
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
