/**
 * An example or more for each command, by its path. They stand here, and not beside the options, so that help, manual page
 * and the test that asks for them have one list. A new command needs a line.
 */
import type { Command } from 'commander';

export const examples: Readonly<Record<string, readonly string[]>> = {
  daemon: ['rch daemon status', 'rch daemon restart'],
  'daemon start': ['rch daemon start'],
  'daemon stop': ['rch daemon stop', 'rch daemon stop --now'],
  'daemon restart': ['rch daemon restart'],
  'daemon status': ['rch daemon status || rch daemon start'],
  'daemon enable': ['rch daemon enable'],
  'daemon disable': ['rch daemon disable'],
  'daemon logs': ['rch daemon logs -n 100', 'rch daemon logs -f'],
  logs: ['rch logs -f', 'rch logs --job 3f2a91c0', 'rch logs -n 1000 --level warn --json'],
  workers: [
    'rch workers list',
    'rch workers discover',
    'rch workers add --id css --host 203.0.113.20 --user ubuntu',
  ],
  'workers add': [
    'rch workers add --id css --host 203.0.113.20 --user ubuntu --identity-file ~/.ssh/id_ed25519',
    'rch workers add --id box --host ALIAS            # everything else from ssh_config',
    'rch workers add --id node --transport command -- docker exec -i builder',
  ],
  'workers list': ['rch workers list', 'rch workers list --json'],
  'workers remove': ['rch workers remove css'],
  'workers probe': [
    'rch workers probe css',
    'rch workers probe --all --json',
    'rch workers probe css --tool clang-19',
  ],
  'workers discover': [
    'rch workers discover',
    'rch workers discover --add css csd',
    'rch workers discover --yes --accept-host-key',
  ],
  'workers setup': [
    'rch workers setup css --dry-run',
    'rch workers setup css --with clang,ccache,libssl-dev --yes',
    'rch workers setup css --only --with gcc,make',
  ],
  'workers sync': [
    'rch workers sync css',
    'rch workers sync --all --cpp --dry-run',
    'rch workers sync css --rust --rustup',
  ],
  'workers drain': ['rch workers drain css'],
  'workers disable': ['rch workers disable css'],
  'workers enable': ['rch workers enable css'],
  'workers benchmark': ['rch workers benchmark', 'rch workers benchmark css'],
  shim: ['rch shim install', 'rch shim status'],
  'shim install': ['rch shim install', 'rch shim install --shell zsh --tool gcc-12'],
  'shim uninstall': ['rch shim uninstall', 'rch shim uninstall --tool gcc-12'],
  'shim status': ['rch shim status'],
  'shim env': ['eval "$(rch shim env)"', 'rch shim env --shell fish | source'],
  hook: ['rch hook install', 'rch hook status'],
  'hook install': ['rch hook install', 'rch hook install --agent gemini --project'],
  'hook uninstall': ['rch hook uninstall', 'rch hook uninstall --all'],
  'hook status': ['rch hook status'],
  status: ['rch status', 'rch status --jobs', 'rch status -w -m', 'rch status --json'],
  queue: [
    'rch queue                                # place, job, caller, what it waits for, and since when',
    'RCH_PRIORITY=low cargo test              # lets all others go first',
    'RCH_CALLER=nightly make -j8              # counts as a caller of its own',
  ],
  cancel: [
    'rch cancel 3f2a91c0                      # one, by the start of its id in rch queue, status --jobs or jobs',
    'rch cancel --all                         # everything that waits or runs, here and on workers',
  ],
  doctor: ['rch doctor', 'rch doctor --fix', 'rch doctor path workers --json'],
  why: [
    'rch why                                  # the last command in this folder',
    'rch why 3f2a91c0                         # that of a job',
    'rch why "cargo build 2>&1 | tee log"     # a command line: what each tier says, and where it would run',
    'rch why -- cargo build --release         # the same for a command in words',
  ],
  history: [
    'rch history                              # the last 20 decisions',
    'rch history 3f2a91c0                     # the timeline of a job',
    'rch history --project --since 2h --failed',
    'rch history --slow -n 5',
    'rch history -n 100 --json',
  ],
  top: ['rch top'],
  dashboard: ['rch dashboard', 'rch dashboard --open', 'rch dashboard --stop'],
  jobs: ['rch jobs'],
  'jobs fetch': ['rch jobs fetch 3f2a91c0'],
  exec: [
    'rch exec -- make -j8',
    'rch exec --worker css -- cargo build --release',
    'rch exec --filter errors -- cargo build',
  ],
  demo: ['rch demo', 'rch demo --keep'],
  gc: ['rch gc', 'rch gc css --to-mb 2000'],
  'self-test': ['rch self-test', 'rch self-test --worker css --tool gcc --quick'],
  config: ['rch config show --origin', 'rch config set general.log_level debug'],
  'config show': [
    'rch config show',
    'rch config show transfer --origin',
    'rch config show --changed',
  ],
  'config get': ['rch config get transfer.compression_level'],
  'config keys': ['rch config keys', 'rch config keys --json'],
  'config path': ['rch config path'],
  'config validate': ['rch config validate', 'rch config validate ./.rch/config.toml'],
  'config set': [
    'rch config set transfer.compression_level 6',
    'rch config set classify.exclude "cargo bench" "make docs*"',
    'rch config set --project workers.preferred css',
    'rch config set execution.env.CARGO_TERM_COLOR always',
  ],
  'config unset': ['rch config unset transfer.compression_level'],
  'config edit': ['rch config edit', 'rch config edit --project', 'rch config edit --workers'],
  'config init': ['rch config init', 'rch config init --user'],
  'config reset': ['rch config reset --project'],
  trust: ['rch trust', 'rch trust --list', 'rch trust --revoke ~/src/app'],
  completions: [
    'eval "$(rch completions bash)"                            # in ~/.bashrc',
    'rch completions zsh > "${fpath[1]}/_rch"',
    'rch completions fish > ~/.config/fish/completions/rch.fish',
  ],
  man: ['rch man | man -l -', 'rch man > ~/.local/share/man/man1/rch.1'],
  version: ['rch version', 'rch version --json'],
};

/** The words by which a command is called, without `rch`. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at = command; at.parent !== null; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}

/** Every command below `program`, parents first, the hidden ones and `help` left out. */
export function allCommands(program: Command): Command[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name() !== 'help' && command.parent !== null)
    .flatMap((command) => [command, ...allCommands(command)]);
}

/** Puts the examples into the help of each command. */
export function addExamples(program: Command): void {
  for (const command of allCommands(program)) {
    const lines = examples[pathOf(command)];
    if (lines === undefined) continue;
    command.addHelpText('after', ['', 'Examples:', ...lines.map((line) => `  ${line}`)].join('\n'));
  }
}
