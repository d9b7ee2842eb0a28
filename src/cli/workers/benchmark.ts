/** `rch workers benchmark [ID…]`: measures how fast workers are; selection uses the score. */
import { ok } from '../../base/result.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import type { WorkerSpeed } from '../../protocol/methods.ts';
import { duration, table } from '../render/text.ts';
import { cutOff } from './cut-off.ts';
import { exitCodes, type Context, type Look, type Outcome } from '../report.ts';

type Row = { readonly worker: string; readonly speed: WorkerSpeed | null; readonly error: string };

const megabytes = (rate: number): string => `${Math.round(rate)} MB/s`;

function cellsOf({ worker, speed, error }: Row): string[] {
  if (speed === null) return [worker, '–', error];
  const { score, facts } = speed;
  if (facts === null) return [worker, score.toFixed(1), 'by benchmark.url'];
  return [
    worker,
    score.toFixed(1),
    Math.round(facts.single).toString(),
    Math.round(facts.all).toString(),
    megabytes(facts.memory),
    megabytes(facts.disk),
    facts.compileMs === null ? 'no cc' : duration(facts.compileMs),
  ];
}

function text(rows: readonly Row[], { width }: Look): string {
  if (rows.length === 0) return 'no worker is connected';
  const head = ['WORKER', 'SPEED', 'ONE CORE', 'ALL CORES', 'MEMORY', 'DISK', 'COMPILING'];
  return table([head, ...rows.map(cellsOf)], width);
}

/** Of `ids`, or of every connected worker, one after the other, so that those that share a host do not share their speed. */
export async function benchmarkWorkers(
  { layout, note }: Context,
  ids: readonly string[],
): Promise<Outcome> {
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  try {
    const known = await client.value.call('workers', {}, { timeoutMs: 10_000 });
    if (!known.ok) return known;
    const connected = known.value.filter((each) => each.state === 'connected');
    const cut = ids.map((id) => cutOff(id, known.value)).find((each) => each !== undefined);
    if (cut !== undefined) return cut;
    const asked = ids.length === 0 ? connected.map((each) => each.id) : ids;
    const rows: Row[] = [];
    for (const worker of asked) {
      note(`measuring ${worker} …`);
      const reply = await client.value.call('benchmark', { worker }, { timeoutMs: 90_000 });
      if (!reply.ok && ids.length === 1) return reply;
      rows.push(
        reply.ok
          ? { worker, speed: reply.value, error: '' }
          : { worker, speed: null, error: reply.failure.reason },
      );
    }
    return ok({
      facts: rows,
      text: (look) => text(rows, look),
      exit: rows.some((row) => row.error !== '') ? exitCodes.failed : exitCodes.done,
    });
  } finally {
    client.value.close();
  }
}
