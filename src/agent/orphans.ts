/**
 * What is known of a running job on disk, for an agent that comes after one that died: the process that is to be ended,
 * and the trees that nobody vouches for any more. The file `owner` in the job's folder has the process in its first
 * line, and then a root a line, as WORKSTATION/KEY.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { discard, type AgentFolder } from './folder.ts';
import type { JobPlan } from './job-plan.ts';
import { aliveOf, processName } from './lock.ts';
import type { Log } from './log.ts';
import { folderIdentity } from './root.ts';
import { readMeta, writeMeta } from './root-files.ts';
import { isPlainName } from './roots.ts';

export function writeOwner(folder: string, pid: number | undefined, plan: JobPlan): void {
  const roots = plan.roots.filter(({ readOnly }) => !readOnly);
  const lines = [
    pid === undefined ? '' : processName(pid).trimEnd(),
    ...roots.map(({ root }) => root.name),
  ];
  writeFileSync(join(folder, 'owner'), `${lines.join('\n')}\n`);
}

function ownerOf(path: string): string {
  try {
    return readFileSync(join(path, 'owner'), 'utf8');
  } catch {
    return '';
  }
}

/** Nobody vouches for the tree: the job that was changing it has no end. */
function distrust(folder: AgentFolder, name: string): void {
  const parts = name.split('/');
  if (parts.length !== 2 || !parts.every(isPlainName)) return;
  const path = join(folder.trees, name);
  const real = [dirname(path), path].every(
    (each) => folderIdentity(Buffer.from(each)) !== undefined,
  );
  const meta = real ? readMeta(path) : undefined;
  if (meta !== undefined) writeMeta(path, { ...meta, epoch: '0' });
}

/** Ends what an agent that died left behind: processes still running, and the jobs' folders. Gives their names. */
export async function sweepOrphans(folder: AgentFolder, log: Log): Promise<string[]> {
  const names = readdirSync(folder.jobs);
  for (const name of names) {
    const path = join(folder.jobs, name);
    const [owner = '', ...roots] = ownerOf(path).split('\n');
    const pid = aliveOf(owner);
    if (pid !== undefined) {
      log(`ending the orphan ${pid} of job ${name}`);
      // rch-run leads a session of its own; its end is that of the job's namespace.
      process.kill(pid, 'SIGKILL');
    }
    for (const root of roots) distrust(folder, root);
    await discard(folder, path);
  }
  return names;
}
