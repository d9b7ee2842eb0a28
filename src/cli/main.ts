/** `rch`, the command line: reads the arguments, runs one command, prints its report. */
import { CommanderError } from 'commander';
import { exitCodes } from './report.ts';
import { programFor } from './program.ts';

/** A reader that went away (`rch history | head`) is no failure. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done);
  throw error;
});

try {
  await programFor(import.meta.url).parseAsync(process.argv);
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) throw thrown;
  process.exitCode = thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage;
}
