/** One list of changes as the link is told it, in parts. */
import type { AgentMessage } from '../protocol/agent.ts';

type Result = Extract<AgentMessage, { type: 'result' }>;

/** `root`: the key of a root, or the path of a temporary folder. */
export function resultParts(
  of: Pick<Result, 'job' | 'root' | 'from' | 'till'>,
  parts: readonly Buffer[],
): Result[] {
  return parts.map((changes, at) => ({
    type: 'result',
    job: of.job,
    root: of.root,
    from: of.from,
    till: of.till,
    changes,
    last: at === parts.length - 1,
  }));
}
