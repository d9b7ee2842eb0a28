/** Answers a launcher whose link went away while its command ran: where to take it up again. */
import { linkSocket, type Layout } from '../../src/base/layout.ts';
import type { ShimMessage } from '../../src/protocol/shim.ts';
import type { History } from '../journal/history.ts';
import type { Fleet } from './fleet.ts';
import type { Jobs } from './jobs.ts';
import { HEARTBEAT } from './question.ts';

/** ms for a link to come back; the agent keeps a job without its owner about as long. */
const PATIENCE = 120_000;

export type WhereParts = {
  readonly layout: Layout;
  readonly fleet: Fleet;
  readonly jobs: Jobs;
  readonly history: History;
};

/** The worker of a job of ours, also one from before a restart of this daemon. */
function workerOf(id: string, parts: WhereParts): string | undefined {
  const job = parts.jobs.get(id);
  if (job !== undefined) return job.worker;
  const line = parts.history.find(id);
  return line?.decision === 'remote' ? (line.worker ?? undefined) : undefined;
}

/**
 * Replies `wait` while the link restarts, then `remote`; `local` when nobody knows the job: as it had started, the
 * launcher takes that for lost.
 */
export async function answerWhere(
  job: Buffer,
  parts: WhereParts,
  caller: { readonly signal: AbortSignal; readonly reply: (message: ShimMessage) => void },
): Promise<void> {
  const hex = job.toString('hex');
  const lost = (reason: string): void => {
    caller.reply({ type: 'local', reason, notice: '', lease: 0n });
  };
  const begun = performance.now();
  while (performance.now() - begun < PATIENCE && !caller.signal.aborted) {
    const id = workerOf(hex, parts);
    const worker = id === undefined ? undefined : parts.fleet.holding(id);
    if (id !== undefined && worker?.listening === true) {
      const socket = Buffer.from(linkSocket(parts.layout, id), 'utf8');
      caller.reply({ type: 'remote', job, worker: id, socket, locks: [] });
      return;
    }
    // A job that no link spoke of is none.
    if (id === undefined && parts.fleet.allTold) {
      lost('the daemon does not know this job');
      return;
    }
    // Nothing to show: the user need not see that the daemon was restarted.
    caller.reply({ type: 'wait', text: '' });
    await parts.fleet.changes.next(HEARTBEAT, caller.signal);
  }
  lost('the link to its worker did not come back');
}
