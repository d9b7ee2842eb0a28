/** `rch history`: the last decisions, newest first. */
import { ok } from '../base/result.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import { historyText } from './render/record.ts';
import type { Context, Outcome } from './report.ts';

export async function history({ layout }: Context, n: number): Promise<Outcome> {
  const client = await ensureDaemon(layout, { explicit: false });
  if (!client.ok) return client;
  const records = await client.value.call('history', { n }, { timeoutMs: 30_000 });
  client.value.close();
  if (!records.ok) return records;
  return ok({ facts: records.value, text: (look) => historyText(records.value, look) });
}
