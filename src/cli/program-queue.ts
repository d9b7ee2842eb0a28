/** `rch queue` and `rch cancel` on the command line. */
import type { Command } from 'commander';
import { fail } from '../base/result.ts';
import { leaf, type Bind } from './leaf.ts';

const queueExamples = `
The line is fair to callers: whoever holds the fewest cores comes first, and of equals who was served longest ago. A
caller is what RCH_CALLER says, else the terminal session that a command was started from. RCH_PRIORITY=low|normal|high
goes before that, and a minute of waiting lifts a command by one class.

Examples:
  rch queue                                place, job, caller, what it waits for, and since when
  rch queue --json
  RCH_PRIORITY=low cargo test              lets all others go first
  RCH_CALLER=nightly make -j8              counts as a caller of its own`;

const cancelExamples = `
A cancelled command ends as if it had been interrupted by Ctrl-C (130 in a shell), unless its tool ends otherwise when it
is interrupted. After five seconds its processes on the worker are ended by force.

Examples:
  rch cancel 3f2a91c0                      one, by the start of its id in rch queue, status --jobs or jobs
  rch cancel --all                         everything that waits or runs, here and on workers`;

export function queueCommands(program: Command, bind: Bind): void {
  leaf(program, 'queue', 'commands that wait for a worker or for their turn here')
    .addHelpText('after', queueExamples)
    .action(bind(async (context) => (await import('./queue.ts')).queue(context)));
  leaf(program, 'cancel [job]', 'end a command that waits or runs, as if it had been interrupted')
    .option('-a, --all', 'all of them')
    .addHelpText('after', cancelExamples)
    .action(
      bind(async (context, options, [job]) => {
        if ((options['all'] === true) === (job !== undefined))
          return fail('name one job, or say --all', 'rch queue; rch status --jobs');
        return (await import('./queue.ts')).cancel(context, job);
      }),
    );
}
