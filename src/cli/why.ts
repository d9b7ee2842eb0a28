/** `rch why`: the newest decision in this folder, that of a job, or what would be decided about a command line. */
import { fail, ok } from '../base/result.ts';
import type { DaemonClient } from '../client/daemon-client.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import { whyText } from './render/record.ts';
import type { Context, Outcome } from './report.ts';
import { whyLine } from './why-line.ts';

/** The start of a job's id. */
const jobId = /^[0-9a-f]{1,32}$/;
/** Tools whose names could begin an id. */
const tools: ReadonlySet<string> = new Set(['cc', 'c89', 'c99']);

async function last(client: DaemonClient, job: string | undefined): Promise<Outcome> {
  const asked = job === undefined ? { cwd: process.cwd() } : { job };
  let reply = await client.call('why', asked, { timeoutMs: 30_000 });
  // Nothing in this folder: the newest anywhere is better than none.
  if (!reply.ok && job === undefined) reply = await client.call('why', {}, { timeoutMs: 30_000 });
  if (!reply.ok)
    return job === undefined
      ? fail('no command has come through the shims yet', 'rch shim status')
      : reply;
  const { record, details } = reply.value;
  return ok({ facts: { record, details }, text: (look) => whyText(record, details, look) });
}

const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** `what`: nothing, the id of a job, a command line as one word, or the words of a command. */
export async function why(context: Context, what: readonly string[]): Promise<Outcome> {
  const client = await ensureDaemon(context.layout);
  if (!client.ok) return client;
  const [only = ''] = what;
  try {
    if (what.length === 0) return await last(client.value, undefined);
    if (what.length > 1) return await whyLine(client.value, what.map(quote).join(' '), context);
    if (!jobId.test(only)) return await whyLine(client.value, only, context);
    const found = await last(client.value, only);
    return found.ok || !tools.has(only) ? found : await whyLine(client.value, only, context);
  } finally {
    client.value.close();
  }
}
