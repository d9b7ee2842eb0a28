/** What the agent of a worker wrote down about its slots (src/agent/slots.ts), lease by lease. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type SlotRecord = {
  /** Leases in the order they began, by the id of their job. */
  readonly jobs: readonly string[];
  /** The most that were in use at once. */
  readonly most: number;
  /** In use at the end. */
  readonly left: number;
  readonly wrong: readonly string[];
};

const begun = /slots \+(\d+) for job (\w+): (\d+) of (\d+) in use/;
const ended = /slots -(\d+) of job (\w+): (\d+) in use/;

/** Adds the leases up anew: the record's own sums must be right, and never above `total`. */
export function slotRecordOf(text: string, total: number): SlotRecord {
  const jobs: string[] = [];
  const wrong: string[] = [];
  let used = 0;
  let most = 0;
  for (const line of text.split('\n')) {
    const [, plus, job = '', afterPlus, of] = begun.exec(line) ?? [];
    const [, minus, , afterMinus] = ended.exec(line) ?? [];
    if (plus === undefined && minus === undefined) continue;
    used += Number(plus ?? 0) - Number(minus ?? 0);
    most = Math.max(most, used);
    if (plus !== undefined) jobs.push(job);
    const after = Number(afterPlus ?? afterMinus);
    if (after !== used) wrong.push(`the record says ${after} where ${used} are in use: ${line}`);
    if (used > total || used < 0) wrong.push(`${used} of ${total} slots in use: ${line}`);
    if (of !== undefined && Number(of) !== total) wrong.push(`not of ${total}: ${line}`);
  }
  return { jobs, most, left: used, wrong };
}

/** The log of an agent whose account has this home; what was put aside as it grew comes first. */
export function agentLog(home: string): string {
  const log = join(home, '.cache', 'rch-wkr', 'log', 'agent.log');
  return [`${log}.1`, log]
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, 'utf8'))
    .join('');
}
