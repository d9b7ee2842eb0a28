/** A worker that is a child of the daemon, for as long as a command of ours needs it. */
import { rmSync, writeFileSync } from 'node:fs';
import { demoMark, type Layout } from '../../base/layout.ts';
import { startTimeOf } from '../../base/processes.ts';
import { fail, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import { progressEvent, type WorkerStatus } from '../../protocol/methods.ts';
import { isEmbedded, type WorkerConfig } from '../../config/worker-schema.ts';
import type { Context } from '../report.ts';

/**
 * The id of the user's own embedded worker, if there is one: two would be the same. Else has the daemon take one up for as
 * long as this process lives, or until `forgetWorker`.
 */
export function markWorker(layout: Layout, workers: readonly WorkerConfig[]): string {
  const own = workers.find(isEmbedded);
  if (own !== undefined) return own.id;
  const id = workers.some((worker) => worker.id === 'embedded')
    ? `demo-${process.pid}`
    : 'embedded';
  writeFileSync(demoMark(layout), `${process.pid} ${startTimeOf(process.pid) ?? ''} ${id}\n`, {
    mode: 0o600,
  });
  return id;
}

export async function forgetWorker(layout: Layout, client: DaemonClient): Promise<void> {
  rmSync(demoMark(layout), { force: true });
  await client.call('reload', {}, { timeoutMs: 10_000 });
}

/** Waits until the worker is there and says what it is, and which of `tools` it has. */
export async function awaitWorker(
  context: Context,
  client: DaemonClient,
  id: string,
  tools: readonly string[] = [],
): Promise<Result<WorkerStatus>> {
  const reply = await client.call(
    'probe',
    { worker: id, tools: [...tools] },
    {
      timeoutMs: 120_000,
      onEvent: (event) => {
        const progress = progressEvent.safeParse(event);
        if (progress.success) context.note(`  ${progress.data.text}`);
      },
    },
  );
  if (!reply.ok) return reply;
  const sandbox = reply.value.facts?.sandbox;
  if (sandbox?.method !== 'none' && sandbox?.method !== 'folder') return reply;
  return fail('this machine cannot run a command in namespaces of its own', sandbox.mend);
}
