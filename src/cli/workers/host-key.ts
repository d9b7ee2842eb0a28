/**
 * The key of an ssh host, before anything trusts it. It is asked for by the system's ssh, so that aliases, jump
 * hosts and proxies work as the user set them up; the session ends before any login.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Layout } from '../../base/layout.ts';
import { fail, ok, type Result } from '../../base/result.ts';

export type SshPlace = {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
};

type Key = { readonly type: string; readonly blob: string };

export type HostKey = {
  /** As known_hosts names the host. */
  readonly name: string;
  readonly type: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  /** The file that has it; undefined: nobody vouched for it yet. */
  readonly knownIn: string | undefined;
  /** The line for known_hosts. */
  readonly line: string;
};

/** Time for one run of ssh, ms: a slow link with several jumps takes its time. */
const ASK = 60_000;

function fingerprint(blob: string): string {
  const digest = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

function arguments_(place: SshPlace): string[] {
  return [
    ...(place.port === undefined ? [] : ['-p', String(place.port)]),
    ...(place.user === undefined ? [] : ['-l', place.user]),
    '--',
    place.host,
  ];
}

/** Our own known_hosts, which the daemon reads beside the user's. */
export const ownKnownHosts = (layout: Layout): string => join(layout.config, 'known_hosts');

type Settings = { readonly name: string; readonly files: readonly string[] };

/** What ssh_config says of the host: the name in known_hosts, and those files. */
async function settingsOf(place: SshPlace, layout: Layout): Promise<Result<Settings>> {
  if (place.host.startsWith('-')) return fail(`"${place.host}" is not a host`);
  const asked = await execa('ssh', ['-G', ...arguments_(place)], {
    reject: false,
    stdin: 'ignore',
    timeout: ASK,
  });
  if (asked.code === 'ENOENT')
    return fail('there is no ssh on this machine', 'apt-get install openssh-client');
  if (asked.failed)
    return fail(`ssh -G ${place.host} failed: ${asked.stderr}`, 'mend ~/.ssh/config');
  const lines = asked.stdout.split('\n').map((line) => line.split(' '));
  const value = (key: string): string[] => lines.find(([name]) => name === key)?.slice(1) ?? [];
  const host = (value('hostname')[0] ?? place.host).toLowerCase();
  const port = value('port')[0] ?? '22';
  const alias = value('hostkeyalias')[0];
  const files = [...value('userknownhostsfile'), ...value('globalknownhostsfile')]
    .filter((file) => file !== 'none')
    .map((file) => (file.startsWith('~/') ? join(homedir(), file.slice(2)) : file));
  return ok({
    name:
      alias !== undefined && alias !== 'none' ? alias : port === '22' ? host : `[${host}]:${port}`,
    files: [ownKnownHosts(layout), ...files].filter((file) => existsSync(file)),
  });
}

/** The known_hosts files that count for the host, ours first, as far as they are there. */
export async function knownHostsFiles(
  place: SshPlace,
  layout: Layout,
): Promise<Result<readonly string[]>> {
  const settings = await settingsOf(place, layout);
  return settings.ok ? ok(settings.value.files) : settings;
}

/** Entries of known_hosts lines; those with a marker (@revoked, @cert-authority) are another matter. */
function keysIn(text: string): Key[] {
  return text.split('\n').flatMap((line) => {
    const [name, type, blob] = line.trim().split(/\s+/);
    const plain =
      name !== undefined && name !== '' && !name.startsWith('#') && !name.startsWith('@');
    return plain && type !== undefined && blob !== undefined ? [{ type, blob }] : [];
  });
}

async function knownKeys(settings: Settings): Promise<(Key & { file: string })[]> {
  const found: (Key & { file: string })[] = [];
  for (const file of settings.files) {
    const { stdout } = await execa('ssh-keygen', ['-F', settings.name, '-f', file], {
      reject: false,
      stdin: 'ignore',
    });
    found.push(...keysIn(stdout).map((key) => ({ ...key, file })));
  }
  return found;
}

/** The algorithms by which ssh accepts keys of a type. */
function algorithms(type: string): string[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type];
}

/** What ssh says last, mostly; a jump host that it refuses ends with a closed connection, behind the reason. */
function reasonIn(stderr: string): string {
  const lines = stderr.trim().split(/[\r\n]+/);
  // Keys of the host itself are taken here, so it is one on the way.
  return lines.includes('Host key verification failed.')
    ? 'the key of a jump host is not known, or has changed (Host key verification failed)'
    : (lines.at(-1) ?? '');
}

/** Lets ssh write down the key that the host shows, in a file of its own. `types`: only keys of these. */
async function shownKey(place: SshPlace, types: readonly string[]): Promise<Result<string>> {
  const folder = mkdtempSync(join(tmpdir(), 'rch-host-key-'));
  try {
    const file = join(folder, 'known_hosts');
    const options = {
      StrictHostKeyChecking: 'accept-new',
      UserKnownHostsFile: file,
      GlobalKnownHostsFile: '/dev/null',
      HashKnownHosts: 'no',
      CheckHostIP: 'no',
      BatchMode: 'yes',
      PreferredAuthentications: 'none',
      ControlMaster: 'no',
      ControlPath: 'none',
      ConnectTimeout: '15',
      ...(types.length === 0
        ? {}
        : { HostKeyAlgorithms: [...new Set(types.flatMap(algorithms))].join(',') }),
    };
    const flags = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    const asked = await execa('ssh', [...flags, '-T', ...arguments_(place), 'true'], {
      reject: false,
      stdin: 'ignore',
      timeout: ASK,
    });
    if (existsSync(file)) return ok(readFileSync(file, 'utf8').trim());
    const why = asked.timedOut ? 'no answer in a minute' : reasonIn(asked.stderr);
    return fail(
      `${place.host} cannot be reached: ${why}`,
      `try: ssh ${arguments_(place).join(' ')}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The key the host shows now. Fails when it is not the one that is known, with both fingerprints. */
export async function hostKeyOf(place: SshPlace, layout: Layout): Promise<Result<HostKey>> {
  const settings = await settingsOf(place, layout);
  if (!settings.ok) return settings;
  const known = await knownKeys(settings.value);
  const shown = await shownKey(
    place,
    known.map((key) => key.type),
  );
  if (!shown.ok) return shown;
  const key = keysIn(shown.value)[0];
  if (key === undefined) return fail(`${place.host} showed a key that ssh did not write down`);
  const same = known.find((each) => each.blob === key.blob);
  const other = known.find((each) => each.type === key.type) ?? known[0];
  if (same === undefined && other !== undefined)
    return fail(
      `the host key of ${settings.value.name} has changed: known is ${other.type} ${fingerprint(other.blob)} ` +
        `(${other.file}), the host shows ${key.type} ${fingerprint(key.blob)}`,
      `somebody may be posing as the worker. If it was reinstalled: ssh-keygen -R '${settings.value.name}' -f '${other.file}'`,
    );
  return ok({
    name: settings.value.name,
    type: key.type,
    fingerprint: fingerprint(key.blob),
    knownIn: same?.file,
    line: `${settings.value.name} ${key.type} ${key.blob}`,
  });
}

/** Takes a key that somebody compared. */
export function acceptHostKey(layout: Layout, key: HostKey): void {
  if (key.knownIn !== undefined) return;
  mkdirSync(layout.config, { recursive: true, mode: 0o700 });
  appendFileSync(ownKnownHosts(layout), `${key.line}\n`, { mode: 0o600 });
}
