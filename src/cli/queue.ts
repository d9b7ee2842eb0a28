/** `rch queue`: who waits in line; `rch cancel`: ends what waits or runs. */
import { ok } from '../base/result.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import type { CancelledJob } from '../protocol/methods.ts';
import { queueText } from './render/queue.ts';
import { shortId } from './render/record.ts';
import { printable } from './render/text.ts';
import type { Context, Outcome } from './report.ts';

export async function queue({ layout }: Context): Promise<Outcome> {
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  const reply = await client.value.call('queue', {}, { timeoutMs: 30_000 });
  client.value.close();
  if (!reply.ok) return reply;
  return ok({ facts: reply.value, text: (look) => queueText(reply.value, look) });
}

function cancelledText(cancelled: readonly CancelledJob[]): string {
  if (cancelled.length === 0) return 'nothing waits or runs';
  return cancelled
    .map(({ id, command, where }) => {
      const place = where === 'here' || where === 'in line' ? where : `on ${where}`;
      return `cancelled ${shortId(id)} (${place}): ${printable(command)}`;
    })
    .join('\n');
}

/** `job`: the start of its id; undefined for all. */
export async function cancel({ layout }: Context, job: string | undefined): Promise<Outcome> {
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  const wish = job === undefined ? { all: true } : { job };
  const reply = await client.value.call('cancel', wish, { timeoutMs: 30_000 });
  client.value.close();
  if (!reply.ok) return reply;
  return ok({ facts: reply.value, text: () => cancelledText(reply.value.cancelled) });
}
