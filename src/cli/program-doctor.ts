/** `rch doctor`: options and help. */
import { Argument, type Command } from 'commander';
import { areas } from './doctor/check.ts';
import { leaf, type Bind } from './leaf.ts';

export function doctorCommand(program: Command, bind: Bind): void {
  leaf(program, 'doctor', 'look at the whole chain step by step, and say what mends it')
    .addArgument(new Argument('[areas...]', 'only these').choices(areas))
    .option('--fix', 'mend what is safe to mend (links, daemon, modes of files, our own entries)')
    .addHelpText('after', '\nIt ends with 0 when nothing failed, else with 1.')
    .action(
      bind(async (context, options, named) =>
        (await import('./doctor/doctor.ts')).doctor(context, {
          fix: options['fix'] === true,
          only: areas.filter((area) => named.includes(area)),
        }),
      ),
    );
}
