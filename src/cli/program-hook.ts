/** `rch hook …`: options and help. */
import { Option, type Command } from 'commander';
import { agentNames, type AgentName, type Scope } from './hook/agents.ts';
import { common, leaf, type Bind } from './leaf.ts';
import type { Options } from './perform.ts';

const about = 'which coding agent; for one without a hook of use, what to do instead is printed';

const agentOption = (): Option =>
  new Option('--agent <name>', about).choices(agentNames).default('claude');

/** What commander has checked against `agentNames`. */
const agentOf = (options: Options): AgentName =>
  agentNames.find((name) => name === options['agent']) ?? 'claude';

const scopeOf = (options: Options): Scope =>
  options['local'] === true ? 'local' : options['project'] === true ? 'project' : 'user';

function scoped(command: Command): Command {
  return command
    .addOption(agentOption())
    .addOption(
      new Option(
        '--project',
        'the settings of the project in this folder, not those of the user',
      ).conflicts('local'),
    )
    .option('--local', "the project's settings.local.json, which is yours alone");
}

export function hookCommands(program: Command, bind: Bind): void {
  const hook = program
    .command('hook')
    .description('the shims for coding agents whose PATH does not have them');
  scoped(leaf(hook, 'install', 'have the agent ask rch-hook before each shell command')).action(
    bind(async (context, options) =>
      (await import('./hook/install.ts')).hookInstall(context, {
        agent: agentOf(options),
        scope: scopeOf(options),
      }),
    ),
  );
  scoped(leaf(hook, 'uninstall', 'take it out of the settings again'))
    .option('--all', 'out of every settings file that rch put it into')
    .action(
      bind(async (context, options) => {
        const { hookUninstall, hookUninstallAll } = await import('./hook/install.ts');
        if (options['all'] === true) return hookUninstallAll(context);
        return hookUninstall(context, { agent: agentOf(options), scope: scopeOf(options) });
      }),
    );
  common(hook.command('status', { isDefault: true }))
    .description('where it is installed, and whether it has anything to do')
    .addOption(agentOption())
    .action(
      bind(async (context, options) =>
        (await import('./hook/status.ts')).hookStatus(context, agentOf(options)),
      ),
    );
}
