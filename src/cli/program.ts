/** The commands of `rch`, their options and help. What they do is loaded when one is called. */
import { Command, Option } from 'commander';
import { requestVariables } from '../config/request.ts';
import { addExamples } from './examples.ts';
import { common, leaf, refusing, wholeNumber, type Bind } from './leaf.ts';
import { filters } from './line-filter.ts';
import { perform, type Options } from './perform.ts';
import { configCommands } from './program-config.ts';
import { doctorCommand } from './program-doctor.ts';
import { helpCommands, hintAtMeant } from './misspelled.ts';
import { helpingCommands } from './program-help.ts';
import { liveCommands } from './program-live.ts';
import { workersCommands } from './program-workers.ts';
import { hookCommands } from './program-hook.ts';
import { queueCommands } from './program-queue.ts';
import { logsCommand, seeingCommands } from './program-seeing.ts';
import { selfTestCommand } from './program-self-test.ts';
import { shimCommands } from './program-shim.ts';
import { exitMeanings } from './report.ts';

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
  logsCommand(daemon, bind);
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

/** What the options of `rch exec` ask for, as the shims take it. */
function askedBy(options: Options): Record<string, string> {
  const flags = {
    RCH_FORCE_REMOTE: options['forceRemote'] === true,
    RCH_LOCAL_ONLY: options['localOnly'] === true,
    RCH_DRY_RUN: options['dryRun'] === true,
    RCH_NO_CACHE: options['cache'] === false,
    RCH_VERBOSE: options['verbose'] === true,
  };
  const values = {
    RCH_WORKER: options['worker'],
    RCH_WORKERS: options['workers'],
    RCH_COMPRESSION: options['compression'],
    RCH_NOTICE: options['notice'],
  };
  return Object.fromEntries([
    ...Object.entries(flags).flatMap(([name, on]) => (on ? [[name, '1']] : [])),
    ...Object.entries(values).flatMap(([name, value]) =>
      typeof value === 'string' || typeof value === 'number' ? [[name, String(value)]] : [],
    ),
  ]) as Record<string, string>;
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
    .addOption(new Option('--worker <id>', 'on that worker or here').conflicts('workers'))
    .option('--workers <ids>', 'on one of these (A,B) or here')
    .addOption(new Option('--force-remote', 'skip the weighing of cost').conflicts('localOnly'))
    .option('--local-only', 'here, but counted among the heavy builds of this machine')
    .option('--dry-run', 'show what would happen, and run here')
    .option('--compression <level>', 'zstd level of what is sent, 1 to 19', wholeNumber(1, 19))
    .option('--no-cache', 'read every file anew')
    .addOption(
      new Option('--notice <when>', 'of what was done').choices(['auto', 'never', 'always']),
    )
    .option('-v, --verbose', 'each decision and phase on standard error')
    .action(
      bind(async (context, options, args) =>
        (await import('./exec.ts')).exec(context, args, {
          filter: filters.find((name) => name === options['filter']) ?? 'all',
          prefix: options['prefix'] === true,
          asked: askedBy(options),
        }),
      ),
    );
}

function keepingCommands(program: Command, bind: Bind): void {
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
  const gc = leaf(
    program,
    'gc [worker]',
    'make room on workers (all without a name): contents, trees, old results and logs, as far as nothing uses them',
  );
  refusing(gc, ({ worker }, [named]) =>
    named === undefined || typeof worker !== 'string' || worker === named
      ? undefined
      : `two workers are named, ${named} and ${worker}; call it for each, or for all without a name`,
  )
    .option('--worker <id>', 'the same as the name')
    .option(
      '--to-mb <size>',
      'to this many megabytes; by default to the configured limit',
      wholeNumber(0),
    )
    .action(
      bind(async (context, options, [worker]) =>
        (await import('./gc.ts')).collect(
          context,
          worker ?? (typeof options['worker'] === 'string' ? options['worker'] : undefined),
          typeof options['toMb'] === 'number' ? options['toMb'] * 1e6 : undefined,
        ),
      ),
    );
}

const pairs = (all: readonly (readonly [string, string])[], width: number): string =>
  all.map(([name, meaning]) => `  ${name.padEnd(width)}${meaning}`).join('\n');

const after = `
Exit codes:
${pairs(exitMeanings, 5)}

A command through the shims obeys:
${pairs(requestVariables, 20)}

Examples:
  rch workers add --id css --host 203.0.113.20 --user ubuntu
  rch shim install
  rch why`;

/** The whole command line of the program at `moduleUrl`. */
export function programFor(moduleUrl: string): Command {
  const version = process.env['RCH_BUILD_VERSION'] ?? '0.0.0';
  const program = common(new Command('rch'))
    .description('Runs cargo, make, gcc and their kin on your workers as though they ran here.')
    .version(version, '-V, --version')
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
  liveCommands(program, bind);
  jobsCommands(program, bind);
  queueCommands(program, bind);
  doingCommands(program, bind);
  keepingCommands(program, bind);
  selfTestCommand(program, bind);
  doctorCommand(program, bind);
  configCommands(program, bind);
  helpingCommands(program, bind);
  helpCommands(program, bind);
  addExamples(program);
  hintAtMeant(program);
  return program;
}
