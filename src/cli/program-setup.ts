/** `rch workers discover|probe|setup|sync`: options and help. */
import type { Command } from 'commander';
import { leaf, refusing, type Bind } from './leaf.ts';

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

function discoverCommand(workers: Command, bind: Bind): void {
  leaf(workers, 'discover', 'find machines in ssh_config and ssh aliases, and pick workers')
    .option('--add <id...>', 'add these')
    .option('--yes', 'add all that may become workers')
    .option('--accept-host-key', 'take the keys that the hosts show without asking (for scripts)')
    .action(
      bind(async (context, options) =>
        (await import('./workers/discover.ts')).discoverWorkers(context, {
          add: listOf(options['add']),
          yes: options['yes'] === true,
          acceptHostKey: options['acceptHostKey'] === true,
        }),
      ),
    );
}

function setupCommand(workers: Command, bind: Bind): void {
  const setup = leaf(
    workers,
    'setup <id>',
    'install there what it lacks, by its own package manager',
  );
  refusing(setup, (options) =>
    options['only'] === true && options['with'] === undefined
      ? '--only needs --with, which names the tools or packages'
      : undefined,
  )
    .option('--with <names>', 'these tools or packages too, separated by commas')
    .option('--only', 'of what builds need, only what --with names')
    .option('--dry-run', 'only show the plan')
    .option('--yes', 'do it without asking')
    .addHelpText(
      'after',
      [
        '',
        'Wanted there: the compilers and build tools of this machine, a sandbox (bubblewrap, with the AppArmor profile or the',
        'kernel setting it needs), and linger where logind would end the agent. Rust is brought with each build: rch workers sync',
      ].join('\n'),
    )
    .action(
      bind(async (context, options, [id]) => {
        const { setupWorker } = await import('./workers/setup.ts');
        const names = options['with'];
        return setupWorker(context, id ?? '', {
          with: typeof names === 'string' ? names : undefined,
          only: options['only'] === true,
          dryRun: options['dryRun'] === true,
          yes: options['yes'] === true,
        });
      }),
    );
}

function probeCommand(workers: Command, bind: Bind): void {
  leaf(workers, 'probe [ids...]', 'connect, and show what the machine is and has')
    .option('--all', 'every worker that is enabled')
    .option('--tool <name...>', 'ask for these tools too')
    .action(
      bind(async (context, options, ids) => {
        const { probeWorkers } = await import('./workers/probe.ts');
        const tools = listOf(options['tool']);
        return probeWorkers(context, { ids, all: options['all'] === true, tools });
      }),
    );
}

function syncCommand(workers: Command, bind: Bind): void {
  leaf(workers, 'sync [ids...]', 'bring toolchains there, and its C and C++ tools to one version')
    .option('--all', 'every worker that is enabled')
    .option('--rust', 'Rust alone')
    .option('--cpp', 'C and C++ alone')
    .option('--rustup', 'have its own rustup install Rust, instead of shipping')
    .option('--dry-run', 'only show the plan')
    .option('--yes', 'install without asking')
    .addHelpText(
      'after',
      [
        '',
        'Rust: the toolchain that a build in this folder uses is sent to its store, ahead of the first build. C and C++: tools',
        'of another version than here get that of this machine, by packages. toolchain.toml may name others: rch config keys',
      ].join('\n'),
    )
    .action(
      bind(async (context, options, ids) =>
        (await import('./workers/sync.ts')).syncWorkers(context, {
          ids,
          all: options['all'] === true,
          rust: options['rust'] === true,
          cpp: options['cpp'] === true,
          rustup: options['rustup'] === true,
          dryRun: options['dryRun'] === true,
          yes: options['yes'] === true,
        }),
      ),
    );
}

export function setupCommands(workers: Command, bind: Bind): void {
  discoverCommand(workers, bind);
  probeCommand(workers, bind);
  setupCommand(workers, bind);
  syncCommand(workers, bind);
}
