/** Why this machine cannot take a job now, for reasons that are its own. */
import { roomOf, LEAST_DISK } from '../facts/machine.ts';
import type { RefusalKind } from '../protocol/jobs.ts';
import type { AgentFolder } from './folder.ts';
import { hasProgram, type JobPlan } from './job-plan.ts';
import type { Sandbox } from './sandbox.ts';

type Unfit = { readonly kind: RefusalKind; readonly reason: string };

/** What the agent knows of this machine. */
type Here = {
  readonly folder: AgentFolder;
  /** Whether it is still as whoever wants the job was told. */
  readonly asTold: () => Promise<boolean>;
};

export async function unfitFor(
  plan: JobPlan,
  sandbox: Sandbox,
  here: Here,
): Promise<Unfit | undefined> {
  if (sandbox.method === 'none') return { kind: 'no-sandbox', reason: sandbox.mend };
  if (sandbox.method === 'folder') {
    if (plan.roots.some(({ root }) => !root.standsAtPath))
      return { kind: 'no-sandbox', reason: sandbox.mend };
    // What else it does (in /tmp, in other folders, to what is only to be read) nobody would keep from it or bring back.
    if (plan.spec.outputs === undefined)
      return {
        kind: 'no-sandbox',
        reason: `in real folders only compiler calls run whose outputs are known; ${sandbox.mend}`,
      };
    if (!plan.spec.network)
      return {
        kind: 'no-sandbox',
        reason: `it cannot keep a command off the network; ${sandbox.mend}`,
      };
  }
  if ((await roomOf(here.folder.path)) < LEAST_DISK)
    return {
      kind: 'disk-full',
      reason: 'less than 200 MB are free on the worker, by bytes or by inodes',
    };
  if (!hasProgram(plan, plan.tool))
    return { kind: 'no-tool', reason: `${plan.tool} is not on the worker` };
  if (!(await here.asTold()))
    return { kind: 'outdated', reason: 'its tools or packages were changed a moment ago' };
  return undefined;
}
