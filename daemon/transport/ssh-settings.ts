/** What ssh_config(5) says of a host, asked of the system's own ssh, so that aliases, Match and Include just work. */
import { homedir, userInfo } from 'node:os';
import { execa } from 'execa';
import { fail, ok, type Result } from '../../src/base/result.ts';

/** `Match exec` may run a program, so this is not always quick. */
const ASK_MS = 10_000;

export type SshTarget = {
  readonly host: string;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** A leading `~/` is the home folder. */
  readonly identityFile?: string | undefined;
};

export type SshSettings = {
  /** As the user wrote it. */
  readonly name: string;
  /** To connect to. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Under which known_hosts files list it: HostKeyAlias, or host and port. */
  readonly keyName: string;
  /** Absolute paths; they need not exist. */
  readonly identities: readonly string[];
  /** The user named an identity file in our own configuration. */
  readonly chosenIdentity: boolean;
  readonly identitiesOnly: boolean;
  /** The socket of ssh-agent, when there is one. */
  readonly agent: string | undefined;
  /** `[user@]host[:port]` in the order they are passed. */
  readonly jumps: readonly string[];
  readonly proxyCommand: string | undefined;
  readonly certificates: readonly string[];
  readonly knownHostsFiles: readonly string[];
};

/** ssh takes the home folder from the account, never from HOME. */
function accountHome(): string {
  return userInfo().homedir;
}

/** Expands `~` and the tokens of ssh_config(5), TOKENS, that may stand in IdentityFile and its kin. */
export function expandPath(path: string, at: { host: string; user: string; port: number }): string {
  const home = accountHome();
  const tokens: Readonly<Record<string, string>> = {
    '%%': '%',
    '%d': home,
    '%h': at.host,
    '%i': String(userInfo().uid),
    '%p': String(at.port),
    '%r': at.user,
    '%u': userInfo().username,
  };
  const expanded = path.replace(/%[%dhipru]/g, (token) => tokens[token] ?? token);
  return expanded.startsWith('~/') ? `${home}${expanded.slice(1)}` : expanded;
}

/** The keys and values of `ssh -G`, each key with all its values in order. */
export function parseSettings(text: string): ReadonlyMap<string, readonly string[]> {
  const settings = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space <= 0) continue;
    const key = line.slice(0, space).toLowerCase();
    const values = settings.get(key) ?? [];
    values.push(line.slice(space + 1));
    settings.set(key, values);
  }
  return settings;
}

/** The arguments by which ssh itself would reach the target, without a command. */
export function targetArguments(target: SshTarget): string[] {
  return [
    ...(target.port === undefined ? [] : ['-p', String(target.port)]),
    ...(target.user === undefined ? [] : ['-l', target.user]),
    ...(target.identityFile === undefined ? [] : ['-i', homePath(target.identityFile)]),
    '--',
    target.host,
  ];
}

function homePath(path: string): string {
  return path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path;
}

function unlessNone(value: string | undefined): string | undefined {
  return value === undefined || value === 'none' ? undefined : value;
}

function agentOf(
  value: string | undefined,
  at: { host: string; user: string; port: number },
): string | undefined {
  if (value === 'none') return undefined;
  const fromEnvironment = process.env['SSH_AUTH_SOCK'];
  if (value === undefined || value === 'SSH_AUTH_SOCK')
    return fromEnvironment === '' ? undefined : fromEnvironment;
  if (value.startsWith('$')) return process.env[value.slice(1).replace(/^\{(.*)\}$/, '$1')];
  return expandPath(value, at);
}

/** A jump of ProxyJump: `[user@]host[:port]` or `ssh://[user@]host[:port]`. */
export function parseJump(jump: string): SshTarget {
  const bare = jump.replace(/^ssh:\/\//, '').replace(/\/$/, '');
  const at = bare.lastIndexOf('@');
  const place = bare.slice(at + 1);
  const parts =
    /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:]*))(?::(?<port>\d+))?$/.exec(place)?.groups ?? {};
  const port = parts['port'];
  return {
    host: parts['v6'] ?? parts['name'] ?? place,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(at < 0 ? {} : { user: bare.slice(0, at) }),
  };
}

/** What `ssh -G` printed, read for `target`. */
export function settingsFrom(text: string, target: SshTarget): SshSettings {
  const all = parseSettings(text);
  const first = (key: string): string | undefined => all.get(key)?.[0];
  const host = first('hostname') ?? target.host;
  const port = Number(first('port') ?? 22);
  const user = first('user') ?? userInfo().username;
  const at = { host, user, port };
  const lists = [
    ...(all.get('userknownhostsfile') ?? []),
    ...(all.get('globalknownhostsfile') ?? []),
  ];
  const alias = unlessNone(first('hostkeyalias'));
  // ssh leaves a file out that is not there.
  const chosen =
    target.identityFile === undefined ? [] : [expandPath(homePath(target.identityFile), at)];
  const identities = (all.get('identityfile') ?? [])
    .filter((path) => path !== 'none')
    .map((path) => expandPath(path, at));
  return {
    name: target.host,
    ...at,
    keyName: alias ?? (port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`),
    identities: [...new Set([...chosen, ...identities])],
    chosenIdentity: target.identityFile !== undefined,
    identitiesOnly: first('identitiesonly') === 'yes',
    agent: agentOf(first('identityagent'), at),
    jumps: (unlessNone(first('proxyjump')) ?? '').split(',').filter((jump) => jump !== ''),
    proxyCommand: unlessNone(first('proxycommand')),
    certificates: (all.get('certificatefile') ?? []).filter((path) => path !== 'none'),
    knownHostsFiles: lists
      .flatMap((list) => list.split(' '))
      .filter((path) => path !== '' && path !== 'none')
      .map((path) => expandPath(path, at)),
  };
}

/** Asks `ssh -G`. */
export async function sshSettings(
  target: SshTarget,
  config?: string,
): Promise<Result<SshSettings>> {
  if (target.host.startsWith('-')) return fail(`"${target.host}" is not a host`);
  const asked = await execa(
    'ssh',
    ['-G', ...(config === undefined ? [] : ['-F', config]), ...targetArguments(target)],
    {
      reject: false,
      timeout: ASK_MS,
      stdin: 'ignore',
    },
  );
  if (asked.code === 'ENOENT')
    return fail('there is no ssh on this machine', 'install it: apt-get install openssh-client');
  if (asked.failed)
    return fail(`ssh -G ${target.host} failed: ${asked.stderr.trim()}`, 'mend your ~/.ssh/config');
  return ok(settingsFrom(asked.stdout, target));
}
