/** `rch workers enable|drain|disable ID`: what the user wants of a worker, until they want something else. */
import { setTimeout as delay } from 'node:timers/promises';
import { ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import { loadConfig } from '../../config/load.ts';
import type { JobsReply, WorkerStatus } from '../../protocol/methods.ts';
import { shortId } from '../render/record.ts';
import { count, printable } from '../render/text.ts';
import type { Context, Outcome } from '../report.ts';
import { unknownWorker } from './unknown.ts';

export type Mandate = WorkerStatus['mandate'];
type Running = JobsReply['running'];

/** ms between two looks at what still runs. */
const LOOK = 500;
/** ms for the daemon to answer. */
const REPLY = 30_000;

async function runningOn(client: DaemonClient, id: string): Promise<Result<Running>> {
  const reply = await client.call('jobs', {}, { timeoutMs: REPLY });
  if (!reply.ok) return reply;
  return ok(reply.value.running.filter(({ worker }) => worker === id));
}

/** Waits until nothing of ours runs there; names each command once, and its end. */
async function drained(
  client: DaemonClient,
  id: string,
  note: (text: string) => void,
): Promise<Result<undefined>> {
  const seen = new Map<string, string>();
  for (;;) {
    const running = await runningOn(client, id);
    if (!running.ok) return running;
    const now = new Set(running.value.map((job) => job.id));
    for (const [job, command] of seen) {
      if (now.has(job)) continue;
      seen.delete(job);
      note(`ended: ${shortId(job)} ${command}`);
    }
    for (const job of running.value) {
      if (seen.has(job.id)) continue;
      seen.set(job.id, printable(job.command));
      note(`waiting for ${shortId(job.id)}: ${printable(job.command)} (${job.phase})`);
    }
    if (running.value.length === 0) return ok(undefined);
    await delay(LOOK);
  }
}

function words(id: string, mandate: Mandate, running: Running): string {
  const on =
    running.length === 0 ? 'nothing runs there' : `${count(running.length, 'command')} go on`;
  switch (mandate) {
    case 'enabled':
      return `${id} takes commands`;
    case 'draining':
      return `${id} takes no more commands, and ${on}; again by: rch workers enable ${id}`;
    case 'disabled':
      return `${id} is disabled, and ${on}; again by: rch workers enable ${id}`;
  }
}

/** `wait`: until what runs there has ended. */
export async function orderWorker(
  { layout, env, note }: Context,
  id: string,
  { mandate, wait }: { readonly mandate: Mandate; readonly wait: boolean },
): Promise<Outcome> {
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  const ids = config.value.config.workers.map((worker) => worker.id);
  if (!ids.includes(id)) return unknownWorker(id, ids);
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  try {
    const ordered = await client.value.call('order', { worker: id, mandate }, { timeoutMs: REPLY });
    if (!ordered.ok) return ordered;
    const waited = wait ? await drained(client.value, id, note) : ok(undefined);
    if (!waited.ok) return waited;
    const running = await runningOn(client.value, id);
    if (!running.ok) return running;
    return ok({
      facts: { worker: id, mandate, running: running.value },
      text: () => words(id, mandate, running.value),
    });
  } finally {
    client.value.close();
  }
}
