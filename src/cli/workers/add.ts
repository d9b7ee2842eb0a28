/** `rch workers add`: checks everything that can be checked, has the host key compared, writes workers.toml. */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { alone } from '../../base/flock.ts';
import { withoutBrackets } from '../../base/place.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { loadConfig } from '../../config/load.ts';
import { readText } from '../../config/replace-file.ts';
import { isEmbedded, workerId, type WorkerConfig } from '../../config/worker-schema.ts';
import { withWorker, writeWorkersFile, type WorkerEntry } from '../../config/workers-file.ts';
import type { Context, Outcome } from '../report.ts';
import { acceptHostKey, hostKeyOf, type HostKey } from './host-key.ts';
import { tellDaemon } from './tell.ts';

export type NewWorker = {
  readonly id: string;
  readonly transport: string;
  readonly host: string | undefined;
  readonly user: string | undefined;
  readonly port: number | undefined;
  readonly identityFile: string | undefined;
  readonly totalSlots: number | undefined;
  readonly priority: number | undefined;
  readonly tags: readonly string[];
  readonly command: readonly string[];
  readonly acceptHostKey: boolean;
};

/** How a public key begins: sshd(8), AUTHORIZED_KEYS FILE FORMAT. */
const publicKey = /^(ssh-|ecdsa-|sk-)\S+ AAAA/;

/** ssh refuses a private key that others may read, and so do we, before it fails somewhere less clear. */
export function checkIdentity(file: string): Result<undefined> {
  const next = '--identity-file takes the file of a private key, such as ~/.ssh/id_ed25519';
  let mode: number;
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return fail(`${file} is not a file`, next);
    mode = stat.mode & 0o777;
    if (publicKey.test(readFileSync(file, 'latin1')))
      return fail(
        `${file} is a public key`,
        `give the private key, which is usually beside it: ${file.replace(/\.pub$/, '')}`,
      );
  } catch {
    return fail(`there is no identity file ${file} that you may read`, next);
  }
  if ((mode & 0o077) === 0) return ok(undefined);
  return fail(
    `${file} has mode 0${mode.toString(8)}: others on this machine can read the private key`,
    `chmod 600 '${file}'`,
  );
}

function expand(file: string): string {
  return file.startsWith('~/') ? join(homedir(), file.slice(2)) : resolve(file);
}

async function confirmed(key: HostKey, host: string): Promise<Result<undefined>> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    return fail(
      `the host key of ${host} is not known: ${key.type} ${key.fingerprint}`,
      'compare it with `ssh-keygen -l -f /etc/ssh/ssh_host_*_key.pub` there, then add --accept-host-key',
    );
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(
      `${host} shows the key ${key.type} ${key.fingerprint}\nIs it the right one? (yes/no) `,
    );
    return /^y(es)?$/i.test(answer.trim()) ? ok(undefined) : fail('the host key was not accepted');
  } finally {
    asking.close();
  }
}

/** The key of an ssh worker's host, known or accepted. */
async function trustedKey(
  { layout, note }: Context,
  worker: NewWorker,
  host: string,
): Promise<Result<HostKey>> {
  const place = { host, user: worker.user, port: worker.port };
  const key = await hostKeyOf(place, layout);
  if (!key.ok) return key;
  const { knownIn, type, fingerprint } = key.value;
  if (knownIn !== undefined) {
    note(`${host}: ${type} ${fingerprint}, known from ${knownIn}`);
    return key;
  }
  if (worker.acceptHostKey) note(`${host}: ${type} ${fingerprint}, accepted`);
  else {
    const yes = await confirmed(key.value, host);
    if (!yes.ok) return yes;
  }
  return key;
}

function entryOf(worker: NewWorker): WorkerEntry {
  return {
    id: worker.id,
    transport: worker.transport === 'ssh' ? undefined : worker.transport,
    host: worker.host,
    user: worker.user,
    port: worker.port,
    identity_file: worker.identityFile === undefined ? undefined : expand(worker.identityFile),
    command: worker.command.length === 0 ? undefined : worker.command,
    total_slots: worker.totalSlots,
    priority: worker.priority,
    tags: worker.tags.length === 0 ? undefined : worker.tags,
  };
}

/** Options that say where a host is, and how one comes in, to a worker that has none. */
function checkPlace(worker: NewWorker): Result<undefined> {
  if (worker.transport === 'ssh') return ok(undefined);
  const { host, user, port, identityFile } = worker;
  const given = Object.entries({ host, user, port, 'identity-file': identityFile });
  const [name] = given.find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return ok(undefined);
  return fail(
    worker.transport === 'embedded'
      ? `an embedded worker is a process of this machine: it takes no --${name}`
      : `a worker of --transport command is reached by its argv: it takes no --${name}`,
    `leave out --${name}, or --transport ${worker.transport}`,
  );
}

/** Characters that ssh refuses in what a shell may see: valid_ruser and valid_hostname of OpenSSH's ssh.c. */
const unsafe = /^-|[\s'`";&<>|(){}\u0000-\u001f\u007f]|\\$/;

/** USER@HOST in its parts, as ssh reads it: by the last `@`; of `[ADDRESS]` the address. */
function splitHost(worker: NewWorker): Result<NewWorker> {
  const { host, user } = worker;
  if (host === undefined) return ok(worker);
  const at = host.lastIndexOf('@');
  const bare = withoutBrackets(host.slice(at + 1));
  if (at < 0) return ok({ ...worker, host: bare });
  const named = host.slice(0, at);
  if (user !== undefined && user !== named)
    return fail(
      `--host ${host} names the account ${named}, and --user ${user}`,
      'give the account once, by --user',
    );
  return ok({ ...worker, user: named, host: bare });
}

function checkHost({ transport, host, user }: NewWorker): Result<undefined> {
  if (transport === 'ssh' && (host === undefined || host === ''))
    return fail('an ssh worker needs --host', 'rch workers add --id NAME --host HOST --user USER');
  if (host !== undefined && unsafe.test(host))
    return fail(
      `"${host}" is not a host`,
      '--host takes a name, an address, or a Host of ssh_config',
    );
  if (user !== undefined && (user === '' || unsafe.test(user)))
    return fail(`"${user}" cannot be an account`, '--user takes the name of an account there');
  return ok(undefined);
}

/** What can be wrong before anybody is asked. */
function checkArguments(worker: NewWorker, known: readonly WorkerConfig[]): Result<undefined> {
  const id = workerId.safeParse(worker.id);
  if (!id.success)
    return fail(
      `"${worker.id}" cannot be a worker's id: ${id.error.issues[0]?.message ?? ''}`,
      'give another --id; it is only what rch calls the worker',
    );
  if (known.some((other) => other.id === worker.id))
    return fail(`there is already a worker "${worker.id}"`, `rch workers remove ${worker.id}`);
  const here = known.find(isEmbedded);
  if (worker.transport === 'embedded' && here !== undefined)
    return fail(
      `only one worker can be embedded, and ${here.id} is`,
      `rch workers remove ${here.id}`,
    );
  const host = checkHost(worker);
  if (!host.ok) return host;
  if (worker.transport !== 'command' && worker.command.length > 0)
    return fail('only --transport command takes a command', 'rch workers add --help');
  if (worker.transport === 'command' && worker.command.length === 0)
    return fail('--transport command needs an argv', 'rch workers add … -- docker exec -i builder');
  const place = checkPlace(worker);
  if (!place.ok) return place;
  return worker.identityFile === undefined
    ? ok(undefined)
    : checkIdentity(expand(worker.identityFile));
}

type Checked = { readonly worker: NewWorker; readonly file: string };

/** The worker as it would be written, and where; a failure when it cannot be. */
function check({ layout, env }: Context, asked: NewWorker): Result<Checked> {
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  const split = splitHost(asked);
  if (!split.ok) return split;
  const checked = checkArguments(split.value, config.value.config.workers);
  return checked.ok ? ok({ worker: split.value, file: config.value.workersFile }) : checked;
}

/** Looks once more, as another one may have been added meanwhile, and writes. */
async function write(
  context: Context,
  asked: NewWorker,
  key: HostKey | undefined,
): Promise<Result<string>> {
  const checked = check(context, asked);
  if (!checked.ok) return checked;
  const { worker, file } = checked.value;
  const text = readText(file);
  if (!text.ok) return text;
  if (key !== undefined) acceptHostKey(context.layout, key);
  const written = writeWorkersFile(file, withWorker(text.value, entryOf(worker)));
  if (!written.ok) return written;
  await tellDaemon(context.layout);
  return ok(file);
}

export async function addWorker(context: Context, asked: NewWorker): Promise<Outcome> {
  const checked = check(context, asked);
  if (!checked.ok) return checked;
  const { worker } = checked.value;
  const host = worker.transport === 'ssh' ? worker.host : undefined;
  const key = host === undefined ? undefined : await trustedKey(context, worker, host);
  if (key?.ok === false) return key;
  const written = await alone(context.layout.lib, () => write(context, asked, key?.value));
  if (!written.ok) return written;
  const file = written.value;
  return ok({
    facts: {
      id: worker.id,
      file,
      hostKey:
        key === undefined ? null : { type: key.value.type, fingerprint: key.value.fingerprint },
    },
    text: () => `added ${worker.id} to ${file}\nnext: rch workers probe ${worker.id}`,
  });
}
