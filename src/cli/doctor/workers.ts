/** `rch doctor`: each worker, side by side: its key, the way to it, what it is, and a compile there. */
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { DaemonClient } from '../../client/daemon-client.ts';
import { loadConfig } from '../../config/load.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { machineFacts } from '../../facts/machine.ts';
import type { MachineFacts } from '../../protocol/facts.ts';
import { compilers } from '../render/worker.ts';
import type { Context } from '../report.ts';
import { checkIdentity } from '../workers/add.ts';
import { hostKeyOf } from '../workers/host-key.ts';
import { failed, pass, type Check } from './check.ts';
import { compileOn } from './compile.ts';
import { narrow } from './modes.ts';
import { atOf, judgeWorker } from './worker.ts';

/** ms for a worker to connect, an upload of the agent included. */
const PROBE_MS = 300_000;

/** A line for a shell that logs in as rch does. */
function sshLine({ host, user, port, identityFile }: WorkerConfig): string {
  const options = [
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(identityFile === undefined ? [] : ['-i', `'${identityFile}'`]),
  ];
  return ['ssh', ...options, `${user === undefined ? '' : `${user}@`}${host ?? ''}`, 'true'].join(
    ' ',
  );
}

function identityCheck(worker: WorkerConfig): Check[] {
  const { id, identityFile } = worker;
  if (identityFile === undefined) return [];
  const at = atOf(id, 'identity');
  const checked = checkIdentity(identityFile);
  if (checked.ok) return [pass(at, identityFile)];
  const { reason, next } = checked.failure;
  if (next === undefined)
    return [
      failed(at, reason, {
        mend: 'correct identity_file in workers.toml, or ssh-keygen -t ed25519',
      }),
    ];
  const fix = (): Promise<Result<string>> => Promise.resolve(narrow(identityFile, 0o600));
  return [failed(at, reason, { mend: next, fix })];
}

async function keyCheck(context: Context, worker: WorkerConfig): Promise<Check[]> {
  const { id, host, user, port } = worker;
  if (worker.transport !== 'ssh' || host === undefined) return [];
  const at = atOf(id, 'host key');
  let key: Awaited<ReturnType<typeof hostKeyOf>>;
  try {
    key = await hostKeyOf({ host, user, port }, context.layout);
  } catch (thrown) {
    key = fail(messageOf(thrown));
  }
  if (!key.ok)
    return [failed(at, key.failure.reason, { mend: key.failure.next ?? sshLine(worker) })];
  const { type, fingerprint, knownIn } = key.value;
  if (knownIn !== undefined) return [pass(at, `${type} ${fingerprint}, known from ${knownIn}`)];
  return [
    failed(at, `it is not known: ${type} ${fingerprint}; compare it, then answer ssh with yes`, {
      mend: sshLine(worker),
    }),
  ];
}

type Needs = { readonly client: DaemonClient; readonly local: MachineFacts };

async function reachChecks(context: Context, worker: WorkerConfig, needs: Needs): Promise<Check[]> {
  const at = atOf(worker.id, 'reachable');
  const reply = await needs.client.call(
    'probe',
    { worker: worker.id, tools: [...compilers] },
    { timeoutMs: PROBE_MS },
  );
  if (!reply.ok) {
    const mend = worker.transport === 'ssh' ? sshLine(worker) : `rch workers probe ${worker.id}`;
    return [failed(at, reply.failure.reason, { mend: reply.failure.next ?? mend })];
  }
  const name = reply.value.facts;
  const where =
    name === null ? '' : `${name.user} on ${name.hostname}, ${name.system}, ${name.cores} cores`;
  return [pass(at, where), ...judgeWorker(reply.value, needs.local)];
}

async function workerChecks(
  context: Context,
  worker: WorkerConfig,
  needs: Needs,
): Promise<Check[]> {
  if (!worker.enabled) return [pass(atOf(worker.id, 'in use'), 'disabled in workers.toml')];
  const identity = identityCheck(worker);
  const [key, reach] = await Promise.all([
    keyCheck(context, worker),
    reachChecks(context, worker, needs),
  ]);
  return [...identity, ...key, ...reach];
}

/** Connects without starting anything: that is the daemon's check. */
async function connected(context: Context): Promise<Result<DaemonClient>> {
  const client = await DaemonClient.connect(context.layout);
  return client.ok ? ok(client.value) : client;
}

export async function checkWorkers(context: Context): Promise<Check[]> {
  const { layout, env } = context;
  const config = loadConfig(layout, env);
  const at = { id: 'workers', title: 'workers' };
  if (!config.ok)
    return [
      failed(at, 'not looked at, as the configuration is broken', {
        mend: config.failure.next ?? '',
      }),
    ];
  const { workers } = config.value.config;
  if (workers.length === 0) return [];
  const client = await connected(context);
  if (!client.ok)
    return [failed(at, `not looked at: ${client.failure.reason}`, { mend: 'rch daemon start' })];
  try {
    const options = { path: env['PATH'] ?? '', skip: [layout.shims] };
    const local = await machineFacts(compilers, options);
    const needs = { client: client.value, local };
    const found = await Promise.all(workers.map((worker) => workerChecks(context, worker, needs)));
    const all: Check[] = [];
    // One after the other: workers that are on one machine, and this one, are no faster together.
    for (const [index, checks] of found.entries()) {
      const id = workers[index]?.id ?? '';
      const up = checks.some(
        (each) => each.id === `worker.${id}.reachable` && each.state === 'pass',
      );
      all.push(...checks, ...(up ? [await compileOn(context, client.value, id)] : []));
    }
    return all;
  } finally {
    client.value.close();
  }
}
