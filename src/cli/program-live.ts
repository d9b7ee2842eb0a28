/** `rch top` and `rch dashboard` on the command line. */
import type { Command } from 'commander';
import { leaf, wholeNumber, type Bind } from './leaf.ts';

const aboutDashboard = `
The page is served on 127.0.0.1 alone, to whoever has the link, which holds a key that is made anew each time. It shows
workers, what runs with its output, what waits and ended, why each ran where it did, and charts; it can cancel and drain.
It goes when nobody had it open for ten minutes, and with the daemon.`;

export function liveCommands(program: Command, bind: Bind): void {
  leaf(
    program,
    'top',
    'a live view of workers and commands in this terminal; ? shows its keys, q quits',
  ).action(bind(async (context) => (await import('./top/top.ts')).top(context)));
  leaf(program, 'dashboard', 'the same as a web page: prints the link')
    .option('--open', 'show it in the browser of this desktop too')
    .option(
      '--port <number>',
      'on this port, if it is not up yet; by default any that is free',
      wholeNumber(1, 65_535),
    )
    .option('--stop', 'end the page')
    .addHelpText('after', aboutDashboard)
    .action(
      bind(async (context, options) =>
        (await import('./dashboard.ts')).dashboard(context, {
          open: options['open'] === true,
          stop: options['stop'] === true,
          port: Number(options['port'] ?? 0),
        }),
      ),
    );
}
