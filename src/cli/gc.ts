/** `rch gc`: shrinks what workers keep. */
import { ok } from '../base/result.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import { size } from './render/text.ts';
import { exitCodes, type Context, type Outcome } from './report.ts';

type Row = { worker: string; freed: number; held: number; error: string };

/** `bytes` to shrink to; 0: the configured limit. Without `worker`, every connected one. */
export async function collect(
  { layout }: Context,
  worker: string | undefined,
  bytes: number,
): Promise<Outcome> {
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  try {
    const known = await client.value.call('workers', {}, { timeoutMs: 10_000 });
    if (!known.ok) return known;
    const connected = known.value.filter((each) => each.state === 'connected');
    const ids = worker === undefined ? connected.map((each) => each.id) : [worker];
    const rows: Row[] = [];
    for (const id of ids) {
      const reply = await client.value.call('collect', { worker: id, bytes });
      if (!reply.ok && worker !== undefined) return reply;
      rows.push(
        reply.ok
          ? { worker: id, ...reply.value, error: '' }
          : { worker: id, freed: 0, held: 0, error: reply.failure.reason },
      );
    }
    return ok({
      facts: rows,
      text: () => (rows.length === 0 ? 'no worker is connected' : rows.map(lineOf).join('\n')),
      exit: rows.some((row) => row.error !== '') ? exitCodes.failed : exitCodes.done,
    });
  } finally {
    client.value.close();
  }
}

function lineOf({ worker, freed, held, error }: Row): string {
  return error === ''
    ? `${worker}: freed ${size(freed)}, holds ${size(held)}`
    : `${worker}: ${error}`;
}
