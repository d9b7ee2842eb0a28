/** `rch workers add`: checks everything that can be checked, has the host key compared, writes workers.toml. */
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
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

/** ssh refuses a private key that others may read, and so do we, before it fails somewhere less clear. */
export function checkIdentity(file: string): Result<undefined> {
  let mode: number;
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return fail(`${file} is not a file`);
    mode = stat.mode & 0o777;
  } catch {
    return fail(`there is no identity file ${file}`);
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

/** What can be wrong before anybody is asked. */
function checkArguments(worker: NewWorker, known: readonly WorkerConfig[]): Result<undefined> {
  const id = workerId.safeParse(worker.id);
  if (!id.success)
    return fail(`"${worker.id}" cannot be a worker's id: ${id.error.issues[0]?.message ?? ''}`);
  if (known.some((other) => other.id === worker.id))
    return fail(`there is already a worker "${worker.id}"`, `rch workers remove ${worker.id}`);
  const here = known.find(isEmbedded);
  if (worker.transport === 'embedded' && here !== undefined)
    return fail(
      `only one worker can be embedded, and ${here.id} is`,
      `rch workers remove ${here.id}`,
    );
  if (worker.transport === 'ssh' && worker.host === undefined)
    return fail('an ssh worker needs --host', 'rch workers add --id NAME --host HOST --user USER');
  if (worker.transport !== 'command' && worker.command.length > 0)
    return fail('only --transport command takes a command', 'rch workers add --help');
  if (worker.transport === 'command' && worker.command.length === 0)
    return fail('--transport command needs an argv', 'rch workers add … -- docker exec -i builder');
  return worker.identityFile === undefined
    ? ok(undefined)
    : checkIdentity(expand(worker.identityFile));
}

export async function addWorker(context: Context, worker: NewWorker): Promise<Outcome> {
  const { layout, env } = context;
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  const checked = checkArguments(worker, config.value.config.workers);
  if (!checked.ok) return checked;
  const host = worker.transport === 'ssh' ? worker.host : undefined;
  const key = host === undefined ? undefined : await trustedKey(context, worker, host);
  if (key?.ok === false) return key;
  const file = config.value.workersFile;
  const text = readText(file);
  if (!text.ok) return text;
  if (key !== undefined) acceptHostKey(layout, key.value);
  const written = writeWorkersFile(file, withWorker(text.value, entryOf(worker)));
  if (!written.ok) return written;
  await tellDaemon(layout);
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
