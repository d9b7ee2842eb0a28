/** `rch status`: daemon, workers, running jobs, and what is wrong. */
import { existsSync } from 'node:fs';
import { frontSocket, stoppedMark } from '../base/layout.ts';
import { ok } from '../base/result.ts';
import { DaemonClient } from '../client/daemon-client.ts';
import { describe } from '../config/problems.ts';
import { loadConfig } from '../config/load.ts';
import { activeText, statusText } from './render/status.ts';
import { exitCodes, type Context, type Outcome } from './report.ts';

/** Without a daemon: what the files say. */
function withoutDaemon({ layout, env, version }: Context): Outcome {
  const config = loadConfig(layout, env);
  const problems = config.ok ? [] : config.failure.problems;
  const workers = config.ok ? config.value.config.workers : [];
  const stopped = existsSync(stoppedMark(layout));
  return ok({
    facts: {
      running: false,
      stopped,
      version,
      socket: frontSocket(layout),
      config: { problems },
      workers: workers.map(({ id, transport, host }) => ({ id, transport, host: host ?? '' })),
    },
    text: ({ colors }) =>
      [
        colors.bold('rch'),
        `├── daemon: ${colors.yellow(stopped ? 'stopped by rch daemon stop' : 'not running')} (rch daemon start)`,
        ...problems.map((problem) => `├── ${colors.red('config:')} ${describe(problem)}`),
        `└── workers: ${workers.length === 0 ? 'none yet (rch workers add)' : workers.map((worker) => worker.id).join(', ')}`,
      ].join('\n'),
    exit: exitCodes.notRunning,
  });
}

/** `jobs`: only what runs and waits. */
export async function status(context: Context, jobs: boolean): Promise<Outcome> {
  const client = await DaemonClient.connect(context.layout);
  if (!client.ok) return client.failure.kind === 'absent' ? withoutDaemon(context) : client;
  const reply = await client.value.call('status', {}, { timeoutMs: 10_000 });
  client.value.close();
  if (!reply.ok) return reply;
  const { value } = reply;
  return ok({
    facts: jobs
      ? { running: true, jobs: value.jobs, local: value.local, queue: value.queue }
      : { running: true, ...value },
    text: (look) => (jobs ? activeText(value, look) : statusText(value, look)),
  });
}
