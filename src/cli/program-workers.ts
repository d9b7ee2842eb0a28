/** `rch workers …`: options and help. */
import { Option, type Command } from 'commander';
import { leaf, wholeNumber, type Bind } from './leaf.ts';
import { setupCommands } from './program-setup.ts';

const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

function addCommand(workers: Command, bind: Bind): void {
  leaf(workers, 'add [command...]', 'add a worker to workers.toml')
    .requiredOption('--id <name>', 'what to call it here')
    .option('--host <host>', 'a name, an address, or a Host of your ssh_config; USER@HOST is both')
    .option('--user <name>', 'the account there')
    .option('--port <number>', 'of its sshd', wholeNumber(1, 65_535))
    .option('--identity-file <file>', 'the private key to use')
    .option('--slots <count>', 'how many cores to use there; by default all', wholeNumber(1))
    .option('--priority <number>', 'higher is preferred', wholeNumber(0))
    .option('--tag <name...>', 'tags')
    .option('--accept-host-key', 'take the key the host shows without asking (for scripts)')
    .addOption(
      new Option('--transport <kind>', 'ssh, command (argv after --), or embedded')
        .choices(['ssh', 'command', 'embedded'])
        .default('ssh'),
    )
    .action(
      bind(async (context, options, command) => {
        const { addWorker } = await import('./workers/add.ts');
        return addWorker(context, {
          id: String(options['id']),
          transport: String(options['transport']),
          host: text(options['host']),
          user: text(options['user']),
          port: options['port'] as number | undefined,
          identityFile: text(options['identityFile']),
          totalSlots: options['slots'] as number | undefined,
          priority: options['priority'] as number | undefined,
          tags: Array.isArray(options['tag']) ? options['tag'].map(String) : [],
          command: [...command],
          acceptHostKey: options['acceptHostKey'] === true,
        });
      }),
    );
}

function orderCommands(workers: Command, bind: Bind): void {
  const order = (mandate: 'enabled' | 'draining' | 'disabled'): ReturnType<Bind> =>
    bind(async (context, options, [id]) => {
      const { orderWorker } = await import('./workers/order.ts');
      const wait = mandate === 'draining' && options['wait'] !== false;
      return orderWorker(context, id ?? '', { mandate, wait });
    });
  leaf(workers, 'enable <id>', 'let it take commands again').action(order('enabled'));
  leaf(workers, 'drain <id>', 'send it no more commands, and wait until none runs there')
    .option('--no-wait', 'return at once; what runs there goes on all the same')
    .addHelpText(
      'after',
      [
        '',
        'Running commands are named, each with its end; Ctrl-C ends the waiting, not the draining. The connection',
        'stays, so that kept results can be fetched. It holds over restarts of the daemon, until: rch workers enable ID',
      ].join('\n'),
    )
    .action(order('draining'));
  leaf(workers, 'disable <id>', 'send it no more commands, and let its connection go')
    .addHelpText(
      'after',
      '\nWhat runs there goes on to its end first. It holds over restarts of the daemon, until: rch workers enable ID',
    )
    .action(order('disabled'));
}

export function workersCommands(program: Command, bind: Bind): void {
  const workers = program.command('workers').description('the machines that commands may run on');
  addCommand(workers, bind);
  orderCommands(workers, bind);
  leaf(workers, 'list', 'those of workers.toml, and how they are').action(
    bind(async (context) => (await import('./workers/list.ts')).listWorkers(context)),
  );
  leaf(workers, 'remove <id>', 'take one out of workers.toml').action(
    bind(async (context, _, [id]) =>
      (await import('./workers/remove.ts')).removeWorker(context, id ?? ''),
    ),
  );
  setupCommands(workers, bind);
  leaf(
    workers,
    'benchmark [ids...]',
    'measure how fast they are; by default all that are connected',
  ).action(
    bind(async (context, _, ids) =>
      (await import('./workers/benchmark.ts')).benchmarkWorkers(context, ids),
    ),
  );
}
