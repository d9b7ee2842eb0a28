/** `rch config …` and `rch trust`: options and help. */
import { Option, type Command } from 'commander';
import { leaf, type Bind } from './leaf.ts';
import type { Options } from './perform.ts';
import type { Asked } from './config/scope.ts';

/** Which file is meant. */
function scoped(command: Command): Command {
  return command
    .addOption(new Option('--user', 'your own file').conflicts(['project', 'system']))
    .addOption(new Option('--project', "the project's .rch/config.toml").conflicts('system'))
    .option('--system', '/etc/rch/config.toml');
}

function scopeOf(options: Options): Asked {
  if (options['project'] === true) return 'project';
  if (options['user'] === true) return 'user';
  return options['system'] === true ? 'system' : undefined;
}

function readingCommands(config: Command, bind: Bind): void {
  leaf(config, 'show [key]', 'what holds here: every key, or those that begin so')
    .option('--origin', 'with the file and line each value comes from')
    .option('--changed', 'only what is not a default')
    .action(
      bind(async (context, options, [key]) =>
        (await import('./config/show.ts')).configShow(context, key, {
          origin: options['origin'] === true,
          changed: options['changed'] === true,
        }),
      ),
    );
  leaf(config, 'get <key>', 'one value').action(
    bind(async (context, _, [key]) =>
      (await import('./config/show.ts')).configGet(context, key ?? ''),
    ),
  );
  leaf(config, 'keys', 'every key there is, with its default and meaning')
    .option('--markdown', 'as the tables of the README')
    .action(
      bind(async (_, options) =>
        (await import('./config/show.ts')).configKeys(options['markdown'] === true),
      ),
    );
  leaf(config, 'path', 'the files, lowest layer first').action(
    bind(async (context) => (await import('./config/show.ts')).configPath(context)),
  );
  leaf(
    config,
    'validate [file]',
    'check the files that hold here, or one; exit code 1 when one is wrong',
  ).action(
    bind(async (context, _, [file]) =>
      (await import('./config/edit.ts')).configValidate(context, file),
    ),
  );
}

function changingCommands(config: Command, bind: Bind): void {
  scoped(
    leaf(config, 'set <key> <values...>', 'set a value; comments and order of the file stay'),
  ).action(
    bind(async (context, options, [key = '', ...values]) =>
      (await import('./config/change.ts')).configSet(context, {
        scope: scopeOf(options),
        key,
        values,
      }),
    ),
  );
  scoped(leaf(config, 'unset <key>', 'take a value out of the file')).action(
    bind(async (context, options, [key]) =>
      (await import('./config/change.ts')).configUnset(context, scopeOf(options), key ?? ''),
    ),
  );
  scoped(leaf(config, 'edit', 'open the file in $VISUAL or $EDITOR, and check it afterwards'))
    .option('--workers', 'workers.toml')
    .action(
      bind(async (context, options) =>
        (await import('./config/edit.ts')).configEdit(context, {
          scope: scopeOf(options),
          workers: options['workers'] === true,
        }),
      ),
    );
  scoped(
    leaf(config, 'init', "make the project's .rch/config.toml, with every key as a comment"),
  ).action(
    bind(async (context, options) =>
      (await import('./config/change.ts')).configInit(context, scopeOf(options)),
    ),
  );
  scoped(leaf(config, 'reset', 'back to the defaults; the old file stays beside it')).action(
    bind(async (context, options) =>
      (await import('./config/change.ts')).configReset(context, scopeOf(options)),
    ),
  );
}

export function configCommands(program: Command, bind: Bind): void {
  const config = program.command('config').description('settings: see, change and check them');
  readingCommands(config, bind);
  changingCommands(config, bind);
  leaf(
    program,
    'trust [folder]',
    "let a project's .rch/config.toml run hooks and set variables, as it is now",
  )
    .option('--list', 'what is trusted')
    .option('--revoke', 'take it back')
    .action(
      bind(async (context, options, [folder]) => {
        const { listTrust, revokeTrust, trustProject } = await import('./trust.ts');
        if (options['list'] === true) return listTrust(context);
        if (options['revoke'] === true) return revokeTrust(context, folder);
        return trustProject(context, folder);
      }),
    );
}
