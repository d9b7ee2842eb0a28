/** The commands of `rch`, their options and help. What they do is loaded when one is called. */
import { Command, Option } from 'commander';
import { leaf, wholeNumber, type Bind } from './leaf.ts';
import { filters } from './line-filter.ts';
import { perform } from './perform.ts';
import { doctorCommand } from './program-doctor.ts';
import { workersCommands } from './program-workers.ts';
import { hookCommands } from './program-hook.ts';
import { selfTestCommand } from './program-self-test.ts';
import { shimCommands } from './program-shim.ts';

function daemonCommands(program: Command, bind: Bind): void {
  const daemon = program.command('daemon').description('the resident daemon of this user');
  const now = new Option('--now', 'end running remote jobs instead of waiting for them');
  leaf(daemon, 'start', 'start it (the shims do so themselves, unless it was stopped)').action(
    bind(async (context) => (await import('./daemon.ts')).daemonStart(context)),
  );
  leaf(daemon, 'stop', 'stop it, and keep the shims from starting it')
    .addOption(now)
    .action(
      bind(async (context, options) =>
        (await import('./daemon.ts')).daemonStop(context, options['now'] === true),
      ),
    );
  leaf(daemon, 'restart', 'stop and start it; running remote jobs go on')
    .addOption(now)
    .action(
      bind(async (context, options) =>
        (await import('./daemon.ts')).daemonRestart(context, options['now'] === true),
      ),
    );
  leaf(daemon, 'status', 'whether it runs; exit code 3 when not').action(
    bind(async (context) => (await import('./daemon.ts')).daemonStatus(context)),
  );
  leaf(daemon, 'enable', 'start it with your session, by a systemd user unit').action(
    bind(async (context) => (await import('./daemon-unit.ts')).daemonEnable(context)),
  );
  leaf(daemon, 'disable', 'undo `rch daemon enable`').action(
    bind(async (context) => (await import('./daemon-unit.ts')).daemonDisable(context)),
  );
  leaf(daemon, 'logs', 'the end of its log')
    .option('-n, --lines <count>', 'how many lines', wholeNumber(0), 50)
    .option('-f, --follow', 'go on with what comes')
    .action(
      bind(async (context, options) =>
        (await import('./logs.ts')).daemonLogs(context, {
          lines: Number(options['lines']),
          follow: options['follow'] === true,
        }),
      ),
    );
}

const whyExamples = `
Examples:
  rch why                                  the last command in this folder
  rch why 3f2a91c0                         that of a job
  rch why "cargo build 2>&1 | tee log"     a command line: what each tier says, and where it would run
  rch why -- cargo build --release         the same for a command in words`;

function seeingCommands(program: Command, bind: Bind): void {
  leaf(program, 'status', 'daemon, workers and running jobs; exit code 3 without a daemon').action(
    bind(async (context) => (await import('./status.ts')).status(context)),
  );
  leaf(
    program,
    'why [what...]',
    'why the last command in this folder ran where it did, or that of a job, or where a command would run',
  )
    .addHelpText('after', whyExamples)
    .action(bind(async (context, _, what) => (await import('./why.ts')).why(context, what)));
  leaf(program, 'history', 'the last decisions, newest first')
    .option('-n, --number <count>', 'how many', wholeNumber(1), 20)
    .action(
      bind(async (context, options) =>
        (await import('./history.ts')).history(context, Number(options['number'])),
      ),
    );
}

function jobsCommands(program: Command, bind: Bind): void {
  const jobs = leaf(
    program,
    'jobs',
    'what runs on workers, and results that are kept there because they could not come back',
  ).action(bind(async (context) => (await import('./jobs.ts')).jobs(context)));
  leaf(jobs, 'fetch <job>', 'bring kept results here').action(
    bind(async (context, _, [job]) => (await import('./jobs.ts')).fetchJob(context, job ?? '')),
  );
}

function doingCommands(program: Command, bind: Bind): void {
  program
    .command('exec')
    .description('run a command with the shims first on PATH; ends as the command ends')
    .argument('<command...>')
    .passThroughOptions()
    .addOption(
      new Option('--filter <lines>', 'show only such lines of its output (this changes bytes)')
        .choices(filters)
        .default('all'),
    )
    .option('--prefix', 'begin each line with the worker that its command runs on, or [local]')
    .addHelpText(
      'after',
      '\nExamples:\n  rch exec -- make -j8\n  rch exec --filter errors -- cargo build',
    )
    .action(
      bind(async (context, options, args) =>
        (await import('./exec.ts')).exec(context, args, {
          filter: filters.find((name) => name === options['filter']) ?? 'all',
          prefix: options['prefix'] === true,
        }),
      ),
    );
  leaf(
    program,
    'demo',
    'build a small C and a small Rust project on a worker that is a process here',
  )
    .option('--keep', 'keep the folder of the demo')
    .action(
      bind(async (context, options) =>
        (await import('./demo/demo.ts')).demo(context, options['keep'] === true),
      ),
    );
  leaf(program, 'gc [worker]', "shrink a worker's store and trees (all workers without a name)")
    .option(
      '--to-mb <size>',
      'to this many megabytes; by default to the configured limit',
      wholeNumber(0),
    )
    .action(
      bind(async (context, options, [worker]) =>
        (await import('./gc.ts')).collect(context, worker, Number(options['toMb'] ?? 0) * 1e6),
      ),
    );
  leaf(program, 'version', 'the version of rch').action(
    bind(async (context) => (await import('./version.ts')).version(context)),
  );
}

const after = `
Exit codes:
  0    done
  1    it failed; the message says what to do next
  2    the command line was not understood
  3    the daemon is not running (rch status, rch daemon status)
  102  a remote run was lost after it had started (from shims and rch exec)

A command through the shims obeys RCH_BYPASS=1, RCH_ENABLED=0, RCH_LOCAL_ONLY=1, RCH_FORCE_REMOTE=1,
RCH_WORKER=ID, RCH_VERBOSE=1 and RCH_DRY_RUN=1.

Examples:
  rch workers add --id css --host 203.0.113.20 --user ubuntu
  rch shim install
  rch why`;

/** The whole command line of the program at `moduleUrl`. */
export function programFor(moduleUrl: string): Command {
  const version = process.env['RCH_BUILD_VERSION'] ?? '0.0.0';
  const program = new Command('rch')
    .description('Runs cargo, make, gcc and their kin on your workers as though they ran here.')
    .version(version, '-V, --version')
    .option('--json', 'print facts as JSON')
    .option('--no-color', 'plain text (NO_COLOR is honoured too)')
    .enablePositionalOptions()
    .showHelpAfterError('(rch help shows every command)')
    .exitOverride()
    .addHelpText('after', after);
  const bind: Bind = (run) => perform(moduleUrl, run);
  daemonCommands(program, bind);
  workersCommands(program, bind);
  shimCommands(program, bind);
  hookCommands(program, bind);
  seeingCommands(program, bind);
  jobsCommands(program, bind);
  doingCommands(program, bind);
  selfTestCommand(program, bind);
  doctorCommand(program, bind);
  return program;
}
