/**
 * The system's own ssh, for what ssh2 cannot do: ProxyCommand, certificates, security keys. One process is the
 * ControlMaster in a private folder; each stream is a session through it.
 */
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, ok, type Result } from '../../src/base/result.ts';
import { childScript } from './child-script.ts';
import { CommandReach } from './command.ts';
import { skipTo } from './marker.ts';
import { shellCommand } from './quote.ts';
import { targetArguments, type SshSettings, type SshTarget } from './ssh-settings.ts';
import type { SshLimits } from './ssh.ts';
import { ownKnownHosts, type Reach, type RemoteScript, type TransportNeeds } from './transport.ts';

/** sun_path holds 107 bytes, and ssh binds a name 17 bytes longer first. */
const SOCKET_PATH_LIMIT = 107 - 17;
const MARK = Buffer.from('rch-ssh-is-up\n');

/** Words of ssh's own messages, and what they mean for the user. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    'somebody may be posing as the worker; see ssh-keygen -R',
  ],
  [
    /Host key verification failed|No \S+ host key is known/,
    'compare the fingerprint, then accept it: ssh HOST once',
  ],
  [/Permission denied/, 'the worker lets no key of ours in'],
  [/Could not resolve/, 'check the host of this worker'],
  [/Connection refused/, 'is sshd running there, and is this its port?'],
  [/UNPROTECTED PRIVATE KEY FILE/, 'chmod 600 the identity file'],
];

function options(settings: SshSettings, needs: TransportNeeds, limits: SshLimits): string[] {
  const files = [ownKnownHosts(needs.layout), ...settings.knownHostsFiles];
  const settled: readonly (readonly [string, string])[] = [
    ['BatchMode', 'yes'],
    ['StrictHostKeyChecking', 'yes'],
    ['UserKnownHostsFile', files.map((file) => `"${file}"`).join(' ')],
    ['ConnectTimeout', String(Math.max(1, Math.ceil(limits.timeoutMs / 1000)))],
    ['ServerAliveInterval', '10'],
    ['ServerAliveCountMax', '3'],
    ['ControlPersist', 'no'],
    ['ClearAllForwardings', 'yes'],
    ['RequestTTY', 'no'],
    ['EscapeChar', 'none'],
    ['LogLevel', 'ERROR'],
  ];
  return [
    ...(needs.sshConfig === undefined ? [] : ['-F', needs.sshConfig]),
    ...settled.flatMap(([key, value]) => ['-o', `${key}=${value}`]),
  ];
}

/** A private folder whose path leaves room for the socket. */
async function socketFolder(needs: TransportNeeds): Promise<string> {
  await mkdir(needs.layout.run, { recursive: true, mode: 0o700 });
  const wished = join(needs.layout.run, 'ssh-');
  return mkdtemp(
    wished.length + 6 + '/s'.length <= SOCKET_PATH_LIMIT ? wished : join(tmpdir(), 'rch-ssh-'),
  );
}

async function failureOf(master: RemoteScript, name: string, late: string): Promise<Result<never>> {
  master.stream.destroy();
  await master.ended;
  const said = master.stderr();
  const meaning = MEANINGS.find(([words]) => words.test(said))?.[1];
  return fail(`ssh ${name} failed: ${said === '' ? late : said}`, meaning);
}

/** The one process that holds the connection, once it is logged in. */
async function openMaster(
  argv: readonly string[],
  name: string,
  limits: SshLimits,
): Promise<Result<RemoteScript>> {
  const master = await childScript(argv);
  if (!master.ok) return master;
  const up = await skipTo(master.value.stream, MARK, {
    ms: limits.timeoutMs,
    signal: limits.signal,
  });
  if (!up.ok) return failureOf(master.value, name, up.failure.reason);
  master.value.stream.resume();
  return master;
}

/** Connects by the system's ssh. */
export async function reachBySystemSsh(
  target: SshTarget,
  settings: SshSettings,
  needs: TransportNeeds,
  limits: SshLimits,
): Promise<Result<Reach>> {
  const folder = await socketFolder(needs);
  const remove = (): void => {
    void rm(folder, { recursive: true, force: true });
  };
  const argv = (role: 'yes' | 'no', script: string): string[] => [
    'ssh',
    ...options(settings, needs, limits),
    '-o',
    `ControlMaster=${role}`,
    '-o',
    `ControlPath=${join(folder, 's')}`,
    ...targetArguments(target),
    shellCommand(script),
  ];
  const master = await openMaster(
    argv('yes', 'echo rch-ssh-is-up; exec cat >/dev/null'),
    settings.name,
    limits,
  );
  if (!master.ok) {
    remove();
    return master;
  }
  const { stream, ended, stderr } = master.value;
  const reach = new CommandReach((script) => argv('no', script), {
    ended: () => stream.destroy(),
    striped: true,
  });
  void ended.then(() => {
    remove();
    const said = stderr();
    reach.lost(said === '' ? 'ssh ended the connection' : said);
  });
  return ok(reach);
}
