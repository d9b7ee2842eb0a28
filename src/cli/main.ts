/** `rch`, the command line: reads the arguments, runs one command, prints its report. */
import { CommanderError } from 'commander';
import { failureJson, failureOf, misuseOf, printFailure } from './failure.ts';
import { exitCodes } from './report.ts';
import { programFor } from './program.ts';

/** What stands behind `--` is another program's. */
const ours = process.argv.slice(2).join('\0').split('\0--\0', 1)[0]?.split('\0') ?? [];
const asked = (...flags: string[]): boolean => flags.some((flag) => ours.includes(flag));

/** No trace on the user's terminal, but with -v. */
function stumble(thrown: unknown): void {
  process.exitCode = exitCodes.failed;
  try {
    printFailure({ json: asked('--json'), env: process.env }, failureOf(thrown));
    if (asked('-v', '--verbose') && thrown instanceof Error)
      process.stderr.write(`${thrown.stack ?? ''}\n`);
  } catch {
    // Nobody can be told.
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that went away (`rch history | head`) is no failure.
  if (error.code === 'EPIPE') process.exit(exitCodes.done);
  stumble(error);
  process.exit();
});

try {
  await programFor(import.meta.url).parseAsync(process.argv);
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    // commander has said it on standard error.
    if (thrown.exitCode !== 0 && asked('--json'))
      process.stdout.write(failureJson(misuseOf(thrown)));
  } else stumble(thrown);
}
