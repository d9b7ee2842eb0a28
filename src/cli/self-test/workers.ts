/** The workers a self-test may use: the one that was asked for, those configured, or one that is a child of the daemon. */
import { ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import { loadConfig } from '../../config/load.ts';
import { awaitWorker, markWorker } from '../demo/worker.ts';
import type { Context } from '../report.ts';

export type Workers = {
  /** The one that every command is for; undefined: any. */
  readonly only: string | undefined;
  /** It is there for this command alone. */
  readonly ours: boolean;
  /** What at least one of them has, of the tools asked about. */
  readonly tools: ReadonlySet<string>;
};

type Wanted = { readonly asked: string | undefined; readonly tools: readonly string[] };

export async function workersFor(
  context: Context,
  client: DaemonClient,
  { asked, tools }: Wanted,
): Promise<Result<Workers>> {
  const config = loadConfig(context.layout, context.env);
  if (!config.ok) return config;
  const { workers } = config.value.config;
  const known = workers.filter((each) => each.enabled).map((each) => each.id);
  const ours = asked === undefined && known.length === 0;
  const ids = ours ? [markWorker(context.layout, workers)] : asked === undefined ? known : [asked];
  if (ours) await client.call('reload', {}, { timeoutMs: 10_000 });
  const found = new Set<string>();
  let good = false;
  for (const id of ids) {
    const status = await awaitWorker(context, client, id, tools);
    // Of several, one that answers is enough.
    if (!status.ok && (ids.length === 1 || (id === ids.at(-1) && !good))) return status;
    if (!status.ok) continue;
    good = true;
    for (const tool of status.value.facts?.tools ?? []) found.add(tool.name);
  }
  return ok({ only: ours ? ids[0] : asked, ours, tools: found });
}
