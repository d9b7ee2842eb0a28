/** `rch jobs`: what runs on workers and what is kept there; `rch jobs fetch ID` brings kept results here. */
import { ok } from '../base/result.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import type { JobsReply } from '../protocol/methods.ts';
import { shortId } from './render/record.ts';
import { clip, duration, printable, table } from './render/text.ts';
import { misused, type Context, type Look, type Outcome } from './report.ts';

function jobsText({ running, kept }: JobsReply, { width }: Look): string {
  const parts: string[] = [];
  if (running.length > 0) {
    const rows = running.map((job) => [
      shortId(job.id),
      job.worker,
      job.phase,
      duration(job.sinceMs),
      clip(printable(job.command), 48),
      printable(job.cwd),
    ]);
    parts.push(table([['JOB', 'WORKER', 'PHASE', 'FOR', 'COMMAND', 'FOLDER'], ...rows], width));
  }
  if (kept.length > 0) {
    const rows = kept.map((job) => [
      shortId(job.id),
      job.worker,
      job.since.slice(0, 19).replace('T', ' '),
      clip(printable(job.command), 48),
      printable(job.cwd),
      printable(job.reason),
    ]);
    const head = ['KEPT', 'WORKER', 'SINCE (UTC)', 'COMMAND', 'FOLDER', 'REASON'];
    parts.push(
      `${table([head, ...rows], width)}\nfetch them by: rch jobs fetch ${shortId(kept[0]?.id ?? '')}`,
    );
  }
  return parts.length === 0 ? 'no command runs on a worker now' : parts.join('\n\n');
}

export async function jobs({ layout }: Context): Promise<Outcome> {
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  const reply = await client.value.call('jobs', {}, { timeoutMs: 30_000 });
  client.value.close();
  if (!reply.ok) return reply;
  return ok({ facts: reply.value, text: (look) => jobsText(reply.value, look) });
}

export async function fetchJob({ layout }: Context, job: string): Promise<Outcome> {
  if (job === '') return misused('which job?', 'rch jobs');
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  const reply = await client.value.call('fetch', { job });
  client.value.close();
  if (!reply.ok) return reply;
  const { id, worker, files, conflicts } = reply.value;
  return ok({
    facts: reply.value,
    text: () =>
      [
        `fetched ${files} changes of ${shortId(id)} from ${worker}`,
        ...conflicts.map(
          (path) => `${path} changed here meanwhile and was kept; the worker's is beside it`,
        ),
      ].join('\n'),
  });
}
