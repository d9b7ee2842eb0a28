/** Turns a planned job into what the agent is asked to run. */
import { RootPolicy, type AgentMessage } from '../../src/protocol/agent.ts';
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import type { JobSpec } from '../../src/protocol/jobs.ts';

/** A root as it stands on the worker when the job starts. */
export type ReadyRoot = {
  readonly root: string;
  readonly path: string;
  readonly policy: 'project' | 'readOnly';
  readonly epoch: bigint;
};

/** Paths below `root` (absolute, no trailing slash), relative to it. */
function below(root: string, paths: readonly string[]): string[] {
  const prefix = root === '/' ? root : `${root}/`;
  return paths.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
}

/** `newest`: the newest mtime in the trees, ns; the tool must not start before it on the worker's clock. */
function jobSpecOf(job: PlannedJob, roots: readonly ReadyRoot[], newest: bigint): JobSpec {
  const projects = roots.filter((root) => root.policy === 'project');
  return {
    roots: [...roots]
      .sort((a, b) => a.path.length - b.path.length)
      .map((root) => ({
        root: root.root,
        path: root.path,
        policy: RootPolicy[root.policy],
        epoch: root.epoch.toString(),
      })),
    hide: job.hide,
    open: job.open,
    shimDir: job.shimDir,
    shimTools: job.shimTools,
    user: job.user,
    machine: job.machine,
    umask: job.umask,
    streams: job.streams,
    joined: job.joined,
    window: job.window,
    termios: job.termios,
    rlimits: job.rlimits,
    signals: job.signals,
    slots: job.slots,
    wished: job.wished,
    slotWaitMs: job.slotWaitMs,
    catchExec: job.catchExec,
    network: job.network,
    newest: newest.toString(),
    caches: projects.flatMap((root) => below(root.path, job.caches)),
    ...(job.outputs === undefined ? {} : { concurrent: true, outputs: job.outputs }),
  };
}

/** The order to run a job on these roots. */
export function runMessageOf(
  job: PlannedJob,
  on: { readonly ready: readonly ReadyRoot[]; readonly newest: bigint },
): AgentMessage {
  const raw = (text: string): Buffer => Buffer.from(text, 'latin1');
  return {
    type: 'run',
    job: Buffer.from(job.job, 'hex'),
    json: Buffer.from(JSON.stringify(jobSpecOf(job, on.ready, on.newest))),
    argv: job.argv.map(raw),
    env: job.env.map(raw),
    cwd: raw(job.cwd),
    tool: raw(job.tool),
  };
}
