/** `rch history`: the last decisions; `rch history JOB`: when what of one happened. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fail, ok, type Result } from '../base/result.ts';
import { ensureDaemon } from '../client/daemon-process.ts';
import type { ParamsOf } from '../protocol/methods.ts';
import { historyText } from './render/history.ts';
import { timelineText } from './render/timeline.ts';
import { misused, type Context, type Outcome } from './report.ts';

export type HistoryWishes = {
  readonly n: number;
  /** A folder, or what a project calls itself (project.name). */
  readonly folder: string | undefined;
  /** As it was typed. */
  readonly since: string | undefined;
  readonly slow: boolean;
  readonly failed: boolean;
};

const SINCE = 'rch history --since 2h, or --since 2026-11-23';

const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;

/** `30m`, `2h`, `3d`, or a date as ISO 8601 has it; a day without a time is one of here. ISO 8601 comes out. */
export function sinceOf(text: string, now: Date): Result<string> {
  const back = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text);
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text;
  const date = /^\d{4}-\d{2}-\d{2}T/.test(day) ? Date.parse(day) : Number.NaN;
  const at =
    back === null ? date : now.getTime() - Number(back[1]) * unitMs[back[2] as keyof typeof unitMs];
  if (Number.isNaN(new Date(at).getTime()))
    return fail(`--since ${text} is neither a time ago nor a date`, SINCE);
  return ok(new Date(at).toISOString());
}

function placeOf(folder: string | undefined): Pick<ParamsOf<'history'>, 'folder' | 'name'> {
  if (folder === undefined) return {};
  const path = resolve(folder);
  return existsSync(path) || folder.includes('/') ? { folder: path } : { name: folder };
}

export async function history({ layout }: Context, wishes: HistoryWishes): Promise<Outcome> {
  const since = wishes.since === undefined ? undefined : sinceOf(wishes.since, new Date());
  if (since?.ok === false) return misused(since.failure.reason, SINCE);
  const client = await ensureDaemon(layout, { explicit: false });
  if (!client.ok) return client;
  const { n, slow, failed, folder } = wishes;
  const asked = { n, slow, failed, ...placeOf(folder), since: since?.value };
  const records = await client.value.call('history', asked, { timeoutMs: 30_000 });
  client.value.close();
  if (!records.ok) return records;
  return ok({ facts: records.value, text: (look) => historyText(records.value, look) });
}

/** The timeline of the job whose id starts with `job`. */
export async function timeline({ layout }: Context, job: string): Promise<Outcome> {
  const client = await ensureDaemon(layout, { explicit: false });
  if (!client.ok) return client;
  const reply = await client.value.call('why', { job }, { timeoutMs: 30_000 });
  client.value.close();
  if (!reply.ok) return reply;
  const { record } = reply.value;
  return ok({ facts: record, text: (look) => timelineText(record, look) });
}
