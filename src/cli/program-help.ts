/** `rch completions|man|version`, and what completions call: options and help. */
import { Argument, Option, type Command } from 'commander';
import { completionShells, type CompletionShell } from './completions.ts';
import { leaf, type Bind } from './leaf.ts';

/** What commander has checked against `completionShells`. */
const shellOf = (value: unknown): CompletionShell =>
  completionShells.find((name) => name === value) ?? 'bash';

export function helpingCommands(program: Command, bind: Bind): void {
  leaf(program, 'completions', 'completions for a shell, worker ids and job ids included')
    .addArgument(new Argument('<shell>', 'which').choices(completionShells))
    .action(
      bind(async (_, __, [shell]) =>
        (await import('./completions.ts')).completions(shellOf(shell)),
      ),
    );
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .addOption(new Option('--shell <name>').choices(completionShells))
    .action(
      bind(async (context, options, words) =>
        (await import('./complete.ts')).complete(program, context, {
          shell: shellOf(options['shell']),
          words,
        }),
      ),
    );
  leaf(program, 'man', 'the manual page, for man(1)').action(
    bind(async (context) => (await import('./man.ts')).man(program, context.version)),
  );
  leaf(program, 'version', 'the version of rch').action(
    bind(async (context) => (await import('./version.ts')).version(context)),
  );
}
