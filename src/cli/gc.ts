/** `rch gc`: shrinks what workers keep. */
import { ok } from '../base/result.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import type { Collected } from '../protocol/ipc.ts';
import { size } from './render/text.ts';
import { cutOff } from './workers/cut-off.ts';
import { exitCodes, type Context, type Outcome } from './report.ts';

type Row = Collected & { worker: string; freed: number; error: string };

const nothing = { contents: 0, trees: 0, results: 0, held: 0 };
const kinds = ['contents', 'trees', 'results'] as const;

/** `bytes` to shrink to; undefined: the configured limit. Without `worker`, every connected one. */
export async function collect(
  { layout }: Context,
  worker: string | undefined,
  bytes: number | undefined,
): Promise<Outcome> {
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  try {
    const known = await client.value.call('workers', {}, { timeoutMs: 10_000 });
    if (!known.ok) return known;
    const connected = known.value.filter((each) => each.state === 'connected');
    const cut = worker === undefined ? undefined : cutOff(worker, known.value);
    if (cut !== undefined) return cut;
    const ids = worker === undefined ? connected.map((each) => each.id) : [worker];
    const rows: Row[] = [];
    for (const id of ids) {
      const reply = await client.value.call('collect', {
        worker: id,
        ...(bytes === undefined ? {} : { bytes }),
      });
      if (!reply.ok && worker !== undefined) return reply;
      rows.push(
        reply.ok
          ? { worker: id, ...reply.value, freed: freedOf(reply.value), error: '' }
          : { worker: id, ...nothing, freed: 0, error: reply.failure.reason },
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

function freedOf(collected: Collected): number {
  return kinds.reduce((sum, kind) => sum + collected[kind], 0);
}

/** `css: freed 1.2 GB (contents 1.0 GB, trees 200 MB), holds 5.0 GB`. */
function lineOf(row: Row): string {
  if (row.error !== '') return `${row.worker}: ${row.error}`;
  const parts = kinds.filter((kind) => row[kind] > 0).map((kind) => `${kind} ${size(row[kind])}`);
  const what = parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  return `${row.worker}: freed ${size(row.freed)}${what}, holds ${size(row.held)}`;
}
