/** `rch queue` and `rch cancel` on the command line. */
import type { Command } from 'commander';
import { misused } from './report.ts';
import { leaf, type Bind } from './leaf.ts';

const queueNotes = `
The line is fair to callers: whoever holds the fewest cores comes first, and of equals who was served longest ago. A
caller is what RCH_CALLER says, else the terminal session that a command was started from. RCH_PRIORITY=low|normal|high
goes before that, and a minute of waiting lifts a command by one class.`;

const cancelNotes = `
A cancelled command ends as if it had been interrupted by Ctrl-C (130 in a shell), unless its tool ends otherwise when it
is interrupted. After five seconds its processes on the worker are ended by force.`;

export function queueCommands(program: Command, bind: Bind): void {
  leaf(program, 'queue', 'commands that wait for a worker or for their turn here')
    .addHelpText('after', queueNotes)
    .action(bind(async (context) => (await import('./queue.ts')).queue(context)));
  leaf(program, 'cancel [job]', 'end a command that waits or runs, as if it had been interrupted')
    .option('-a, --all', 'all of them')
    .addHelpText('after', cancelNotes)
    .action(
      bind(async (context, options, [job]) => {
        if ((options['all'] === true) === (job !== undefined))
          return misused('name one job, or say --all', 'rch queue; rch status --jobs');
        return (await import('./queue.ts')).cancel(context, job);
      }),
    );
}
