/**
 * Which variables of the caller's environment do not travel to a worker: what belongs to this machine's session,
 * and secrets. A withheld name that a build turns out to read makes that command local from then on.
 */

/** Names that only mean something in this session on this machine. */
const session = [
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'ICEAUTHORITY',
  'SESSION_MANAGER',
  'DESKTOP_STARTUP_ID',
  'WINDOWID',
  'DBUS_SESSION_BUS_ADDRESS',
  'DBUS_SESSION_BUS_PID',
  'XDG_RUNTIME_DIR',
  'XDG_SESSION_ID',
  'XDG_SEAT',
  'XDG_VTNR',
  'SSH_AUTH_SOCK',
  'SSH_AGENT_PID',
  'SSH_CONNECTION',
  'SSH_CLIENT',
  'SSH_TTY',
  'GPG_AGENT_INFO',
  'GPG_TTY',
  'GNOME_KEYRING_CONTROL',
  'GNOME_KEYRING_PID',
  'TMUX',
  'TMUX_PANE',
  'STY',
  'INVOCATION_ID',
  'JOURNAL_STREAM',
  'NOTIFY_SOCKET',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'MAINPID',
  'MEMORY_PRESSURE_WATCH',
  'VSCODE_IPC_HOOK_CLI',
  'KRB5CCNAME',
] as const;

const secrets = [
  'DATABASE_URL',
  'PGPASSWORD',
  'MYSQL_PWD',
  'NETRC',
  'GOOGLE_APPLICATION_CREDENTIALS',
] as const;

/** The default of `environment.withhold`: exact names. */
export const defaultWithhold: readonly string[] = [...session, ...secrets];

/** The default of `environment.withhold_patterns`: `*` stands for any run of characters, case does not matter. */
export const defaultWithholdPatterns: readonly string[] = [
  '*_TOKEN',
  '*_TOKEN_*',
  '*_SECRET',
  '*_SECRET_*',
  '*_PASSWORD',
  '*_PASSWD',
  '*_PASSPHRASE',
  '*_API_KEY',
  '*_APIKEY',
  '*_ACCESS_KEY',
  '*_ACCESS_KEY_*',
  '*_PRIVATE_KEY',
  '*_CREDENTIAL',
  '*_CREDENTIALS',
  'TOKEN',
  'SECRET',
  'PASSWORD',
  'API_KEY',
];

export type EnvironmentLists = {
  readonly withhold: readonly string[];
  readonly withholdPatterns: readonly string[];
  readonly pass: readonly string[];
};

function patternOf(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'is');
}

/**
 * A function that says why a name is withheld (the list's entry that did it), or undefined when it travels.
 * `pass` wins over both lists; its entries may be patterns too.
 */
export function withholder(lists: EnvironmentLists): (name: string) => string | undefined {
  const exact = new Set(lists.withhold);
  const patterns = lists.withholdPatterns.map((glob) => ({ glob, match: patternOf(glob) }));
  const pass = lists.pass.map(patternOf);
  return (name) => {
    if (pass.some((match) => match.test(name))) return undefined;
    if (exact.has(name)) return name;
    return patterns.find((pattern) => pattern.match.test(name))?.glob;
  };
}
