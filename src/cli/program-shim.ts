/** `rch shim …`: options and help. */
import { Option, type Command } from 'commander';
import { leaf, type Bind } from './leaf.ts';
import type { Shell } from './shim/block.ts';

const shellNames = ['bash', 'zsh', 'fish', 'sh'] as const satisfies readonly Shell[];

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

/** What commander has checked against `shellNames`. */
function shellsOf(value: unknown): Shell[] {
  return listOf(value).filter((name): name is Shell => shellNames.some((shell) => shell === name));
}

export function shimCommands(program: Command, bind: Bind): void {
  const shim = program.command('shim').description('the links that stand for your build tools');
  leaf(shim, 'install', 'make the links, and put them first on PATH in shell profiles')
    .option('--tool <name...>', 'link these names too, such as gcc-12 or arm-linux-gnueabi-gcc')
    .addOption(new Option('--shell <name...>', 'only the profiles of these').choices(shellNames))
    .option('--no-profile', 'only make the links')
    .action(
      bind(async (context, options) => {
        const named = shellsOf(options['shell']);
        const shells = options['profile'] === false ? [] : named.length > 0 ? named : undefined;
        const { shimInstall } = await import('./shim/install.ts');
        return shimInstall(context, { tools: listOf(options['tool']), shells });
      }),
    );
  leaf(shim, 'uninstall', 'take links and lines in profiles out again')
    .option('--tool <name...>', 'only these links')
    .action(
      bind(async (context, options) =>
        (await import('./shim/install.ts')).shimUninstall(context, listOf(options['tool'])),
      ),
    );
  leaf(
    shim,
    'status',
    'each tool: its shim, the real tool, and whether the shim is first on PATH',
  ).action(bind(async (context) => (await import('./shim/status.ts')).shimStatus(context)));
  leaf(shim, 'env', 'lines that put the shims first on PATH: eval "$(rch shim env)"')
    .addOption(new Option('--shell <name>', 'for this shell').choices(shellNames))
    .action(
      bind(async (context, options) =>
        (await import('./shim/status.ts')).shimEnv(context, shellsOf([options['shell']])[0]),
      ),
    );
}
