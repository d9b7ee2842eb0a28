/** `rch workers probe`: connects, and shows what the machines are, what they have, and what they lack. */
import { ok, type Result } from '../../base/result.ts';
import type { DaemonClient } from '../../client/daemon-client.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import { loadConfig } from '../../config/load.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { machineFacts } from '../../facts/machine.ts';
import { progressEvent, type WorkerStatus } from '../../protocol/methods.ts';
import { compilers, probeText, type Measure, type Probed } from '../render/worker.ts';
import { exitCodes, type Context, type Look, type Outcome } from '../report.ts';
import { meantWorkers, type Named } from './meant.ts';
import { measureRate } from './rate.ts';
import { survey } from './survey.ts';

type Row = { readonly id: string; readonly probed: Result<Probed> };

/** The agent's facts, and beside it what a shell of the worker says and how much the way carries. */
async function probe(
  context: Context,
  client: DaemonClient,
  worker: WorkerConfig,
  tools: readonly string[],
): Promise<Row> {
  const { layout, note } = context;
  const [status, shell] = await Promise.all([
    client.call(
      'probe',
      { worker: worker.id, tools: [...tools] },
      {
        onEvent: (event) => {
          const progress = progressEvent.safeParse(event);
          if (progress.success) note(progress.data.text);
        },
      },
    ),
    survey(worker, [], { layout, connectMs: worker.sshTimeoutMs }),
  ]);
  if (!status.ok) return { id: worker.id, probed: status };
  const rate = await measureRate(worker, layout);
  const probed = {
    ...status.value,
    shell: shell.ok ? shell.value : null,
    rate: rate ?? null,
  };
  return { id: worker.id, probed: ok(probed) };
}

export type ProbeOptions = Named & { readonly tools: readonly string[] };

const usable = ({ facts }: WorkerStatus): boolean =>
  facts !== null && facts.sandbox.method !== 'none';

function textOf(rows: readonly Row[], measure: Measure, look: Look): string {
  return rows
    .map(({ id, probed }) =>
      probed.ok
        ? probeText(probed.value, measure, look)
        : `${look.colors.red(`${id}: ${probed.failure.reason}`)}\n  ${probed.failure.next ?? ''}`,
    )
    .join('\n\n');
}

export async function probeWorkers(context: Context, options: ProbeOptions): Promise<Outcome> {
  const config = loadConfig(context.layout, context.env);
  if (!config.ok) return config;
  const meant = meantWorkers(options, config.value.config.workers, 'rch workers probe');
  if (!meant.ok) return meant;
  const client = await ensureDaemon(context.layout);
  if (!client.ok) return client;
  const asked = [...new Set([...compilers, ...options.tools])];
  const rows = await Promise.all(
    meant.value.map((worker) => probe(context, client.value, worker, asked)),
  );
  client.value.close();
  const [only] = rows;
  const one = rows.length === 1 && !options.all ? only?.probed : undefined;
  if (one?.ok === false) return one;
  const told = rows.map(({ id, probed }) =>
    probed.ok ? { ...probed.value, error: null } : { id, error: probed.failure },
  );
  const path = { path: context.env['PATH'] ?? '', skip: [context.layout.shims] };
  const { tools: here } = await machineFacts(asked, path);
  return ok({
    facts: one?.ok === true ? one.value : told,
    text: (look) => textOf(rows, { asked: options.tools, here }, look),
    exit: rows.every(({ probed }) => probed.ok && usable(probed.value))
      ? exitCodes.done
      : exitCodes.failed,
  });
}
