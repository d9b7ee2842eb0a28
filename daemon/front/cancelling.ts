/** `rch cancel`: ends commands wherever they are, each as if it had been interrupted. */
import { readdirSync } from 'node:fs';
import { processStat, startTimeOf } from '../../src/base/processes.ts';
import { fail, ok, type Result } from '../../src/base/result.ts';
import type { CancelledJob } from '../../src/protocol/methods.ts';
import type { Fleet } from './fleet.ts';
import type { Jobs } from './jobs.ts';
import type { LeaseDesk, LeaseHolder } from './leases.ts';
import type { Line } from './line.ts';

export type CancellingParts = {
  readonly line: Line;
  readonly jobs: Jobs;
  readonly leases: LeaseDesk;
  readonly fleet: Fleet;
};

type Cancellable = CancelledJob & {
  /** False when it is out of reach. */
  readonly cancel: () => boolean;
};

/** A process and all below it, the lowest last. */
function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const pid = Number(name);
    const parent = processStat(pid)?.ppid;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (let at = 0; at < tree.length; at++) tree.push(...(children.get(tree[at] ?? 0) ?? []));
  return tree;
}

/** What Ctrl-C would do: a signal for the command and everything that it started. */
function interruptHere({ pid, startTime }: Pick<LeaseHolder, 'pid' | 'startTime'>): boolean {
  if (startTimeOf(pid) !== startTime) return false;
  for (const each of treeOf(pid)) {
    try {
      process.kill(each, 'SIGINT');
    } catch {
      // It ended meanwhile.
    }
  }
  return true;
}

/** Everything that could be cancelled now. */
function cancellable({ line, jobs, leases, fleet }: CancellingParts): Cancellable[] {
  const waiting = line.list().map(({ id, command }): Cancellable => ({
    ...{ id, command, where: 'in line' },
    cancel: () => {
      const ticket = line.find(id);
      ticket?.cancel();
      return ticket !== undefined;
    },
  }));
  const there = jobs.all().map(({ line: { id, command }, worker }): Cancellable => ({
    ...{ id, command, where: worker },
    cancel: () => fleet.cancel(worker, id),
  }));
  const here = leases.list().map(({ holder }): Cancellable => ({
    ...{ id: holder.id, command: holder.command, where: 'here' },
    cancel: () => interruptHere(holder),
  }));
  return [...waiting, ...there, ...here];
}

/** Cancels the one job whose id starts with `job`, or all of them. */
export function cancel(
  parts: CancellingParts,
  wish: { readonly job?: string | undefined; readonly all?: boolean | undefined },
): Result<{ cancelled: CancelledJob[] }> {
  const { job, all = false } = wish;
  if ((job === undefined) !== all) return fail('either one job or all of them', 'rch queue');
  const found = cancellable(parts).filter(({ id }) => job === undefined || id.startsWith(job));
  const shown = ({ id, command, where }: Cancellable): CancelledJob => ({ id, command, where });
  if (job === undefined) return ok({ cancelled: found.filter((each) => each.cancel()).map(shown) });
  const [only] = found;
  if (only === undefined)
    return fail(`no command that waits or runs has a job id that starts with ${job}`, 'rch queue');
  if (found.length > 1)
    return fail(`${found.length} commands that wait or run have job ids that start with ${job}`);
  if (!only.cancel()) return fail(`${only.command} (${only.where}) is out of reach now`);
  return ok({ cancelled: [shown(only)] });
}
