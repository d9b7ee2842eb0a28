/** One thing to be done by a worker's shell, and who may do it. Decides only. */
import { fail, ok, type Result } from '../../base/result.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { sshLine } from './remote-shell.ts';
import type { Survey } from './survey.ts';

export type Step = {
  readonly id:
    | 'packages'
    | 'apparmor'
    | 'namespaces'
    | 'linger'
    | 'versions'
    | 'headers'
    | 'rustup';
  /** What is done, and why, for people. */
  readonly what: string;
  readonly why: string;
  /** Lines for sh, run by root where `root` is set. */
  readonly script: string;
  readonly root: boolean;
};

/** A word that sh takes as it is. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Steps as a numbered list. */
export function stepLines(steps: readonly Step[], { sudo }: Pick<Survey, 'sudo'>): string[] {
  return steps.map(
    ({ what, why, root }, at) =>
      `${at + 1}. ${what}${root && sudo !== 'root' ? ', by sudo' : ''}\n   because ${why}`,
  );
}

/** Root's part is refused where it cannot be had, with the command for somebody who can. */
export function permitted(
  worker: WorkerConfig,
  steps: readonly Step[],
  { sudo, user }: Pick<Survey, 'sudo' | 'user'>,
): Result<undefined> {
  const byRoot = steps.filter(({ root }) => root);
  if (byRoot.length === 0 || sudo === 'root' || sudo === 'free') return ok(undefined);
  const script = byRoot.map((step) => step.script).join('\n');
  const how =
    sudo === 'asks' && worker.transport === 'ssh'
      ? `${sshLine(worker).replace(/^ssh/, 'ssh -t')} ${quoted(`sudo sh -c ${quoted(script)}`)}`
      : `as root on ${worker.id}: sh -c ${quoted(script)}`;
  const why = sudo === 'asks' ? 'its sudo asks for a password' : 'it has no sudo';
  return fail(`${user} on ${worker.id} cannot become root by itself: ${why}`, how);
}
