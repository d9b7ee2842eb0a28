/** `rch why [JOB]`: the newest decision in this folder, or that of a job, with everything behind it. */
import { fail, ok } from '../base/result.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import { whyText } from './render/record.ts';
import type { Context, Outcome } from './report.ts';

export async function why({ layout }: Context, job: string | undefined): Promise<Outcome> {
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  const asked = job === undefined ? { cwd: process.cwd() } : { job };
  let reply = await client.value.call('why', asked, { timeoutMs: 30_000 });
  // Nothing in this folder: the newest anywhere is better than none.
  if (!reply.ok && job === undefined)
    reply = await client.value.call('why', {}, { timeoutMs: 30_000 });
  client.value.close();
  if (!reply.ok)
    return job === undefined
      ? fail('no command has come through the shims yet', 'rch shim status')
      : reply;
  const { record, details } = reply.value;
  return ok({ facts: { record, details }, text: (look) => whyText(record, details, look) });
}
