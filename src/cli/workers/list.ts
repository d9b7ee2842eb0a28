/** `rch workers list`: what workers.toml says, with how each is while the daemon runs. */
import { createColors } from 'picocolors';
import { withPort } from '../../base/place.ts';
import { ok } from '../../base/result.ts';
import { DaemonClient } from '../../client/daemon-client.ts';
import { loadConfig } from '../../config/load.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import type { WorkerStatus } from '../../protocol/methods.ts';
import { stateText } from '../render/status.ts';
import { printable, table } from '../render/text.ts';
import type { Context, Look, Outcome } from '../report.ts';

type Row = WorkerConfig & {
  readonly status: WorkerStatus | null;
  /** Whether the daemon runs; where it does and knows no such worker, one of that name ends its last commands. */
  readonly running: boolean;
};

/** Where it is, as one would write it for ssh. */
export function placeOf(worker: WorkerConfig): string {
  if (worker.transport === 'embedded') return 'a process here';
  if (worker.transport === 'command') return worker.command.join(' ');
  const user = worker.user === undefined ? '' : `${worker.user}@`;
  const { host = '', port } = worker;
  return `${user}${port === undefined ? host : withPort(host, port)}`;
}

function stateOf({ enabled, status, running }: Row): string {
  if (!enabled) return 'disabled';
  if (status === null)
    return running ? 'waits for the commands of the one before it' : 'daemon not running';
  return stateText(status, createColors(false));
}

function whyOf(status: WorkerStatus | null): string {
  if (status === null) return '';
  return status.troubles.length === 0
    ? status.reason
    : status.troubles.map(({ reason }) => reason).join('; ');
}

function listText(rows: readonly Row[], file: string, { width }: Look): string {
  if (rows.length === 0)
    return `no worker yet: rch workers add --id NAME --host HOST --user USER\n(${file})`;
  const cells = rows.map((row) => {
    const slots = row.status?.slots;
    return [
      row.id,
      placeOf(row),
      stateOf(row),
      slots === null || slots === undefined ? '' : `${slots.used}/${slots.total}`,
      String(row.priority),
      printable(whyOf(row.status)),
    ];
  });
  return table([['WORKER', 'WHERE', 'STATE', 'SLOTS', 'PRIORITY', ''], ...cells], width);
}

export async function listWorkers({ layout, env }: Context): Promise<Outcome> {
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  const client = await DaemonClient.connect(layout);
  let states: readonly WorkerStatus[] = [];
  if (client.ok) {
    const reply = await client.value.call('workers', {}, { timeoutMs: 10_000 });
    client.value.close();
    if (reply.ok) states = reply.value;
  }
  const facts = config.value.config.workers.map((worker) => ({
    ...worker,
    status: states.find((state) => state.id === worker.id) ?? null,
  }));
  const rows: Row[] = facts.map((fact) => ({ ...fact, running: client.ok }));
  return ok({ facts, text: (look) => listText(rows, config.value.workersFile, look) });
}
