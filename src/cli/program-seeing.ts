/** `rch status`, `why`, `history` and `logs` on the command line. */
import { Option, type Command } from 'commander';
import { logLevels } from '../base/log-levels.ts';
import { leaf, wholeNumber, type Bind } from './leaf.ts';

/** Of the program, and of `rch daemon`. */
export function logsCommand(parent: Command, bind: Bind): void {
  leaf(parent, 'logs', "the end of the daemon's log; with --json its lines as they are")
    .option('-n, --lines <count>', 'how many lines', wholeNumber(0), 50)
    .option('-f, --follow', 'go on with what comes')
    .option('--job <job>', 'only lines about a job, by the start of its id')
    .addOption(
      new Option('--level <level>', 'only lines of that level, and graver ones').choices(logLevels),
    )
    .action(
      bind(async (context, options) =>
        (await import('./logs.ts')).logs(context, {
          lines: Number(options['lines']),
          follow: options['follow'] === true,
          job: typeof options['job'] === 'string' ? options['job'] : undefined,
          level: logLevels.find((level) => level === options['level']),
        }),
      ),
    );
}

export function seeingCommands(program: Command, bind: Bind): void {
  leaf(program, 'status', 'daemon, workers and running jobs; exit code 3 without a daemon')
    .option('-j, --jobs', 'only what runs and waits, each with its job, caller and cores')
    .option('-w, --workers', 'only the workers, each with its slots, score, load and disk')
    .option('-m, --metrics', 'only numbers: what went where, how long it took, bytes')
    .action(
      bind(async (context, options) =>
        (await import('./status.ts')).status(context, {
          jobs: options['jobs'] === true,
          workers: options['workers'] === true,
          metrics: options['metrics'] === true,
        }),
      ),
    );
  leaf(
    program,
    'why [what...]',
    'why the last command in this folder ran where it did, or that of a job, or where a command would run',
  ).action(bind(async (context, _, what) => (await import('./why.ts')).why(context, what)));
  leaf(
    program,
    'history [job]',
    'the last decisions, newest first, with how long each part took; or the timeline of one job',
  )
    .option('-n, --number <count>', 'how many', wholeNumber(1), 20)
    .option('--project [folder]', 'only what was run in a folder or below it; without one, in this')
    .option('--since <when>', 'only what began since: 30m, 2h, 3d, 2026-11-23, 2026-11-23T08:00Z')
    .option('--slow', 'the slowest first')
    .option('--failed', 'only what ended with an error, by a signal, or was lost')
    .action(
      bind(async (context, options, [job]) => {
        const { history, timeline } = await import('./history.ts');
        if (job !== undefined) return timeline(context, job);
        const { project, since } = options;
        return history(context, {
          n: Number(options['number']),
          folder: project === true ? '.' : typeof project === 'string' ? project : undefined,
          since: typeof since === 'string' ? since : undefined,
          slow: options['slow'] === true,
          failed: options['failed'] === true,
        });
      }),
    );
  logsCommand(program, bind);
}
