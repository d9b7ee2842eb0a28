/** `rch workers probe ID`: connects, and shows what the machine is, what it has, and what it lacks. */
import { ok } from '../../base/result.ts';
import { ensureDaemon } from '../../client/daemon-process.ts';
import { loadConfig } from '../../config/load.ts';
import { progressEvent } from '../../protocol/methods.ts';
import { compilers, probeText } from '../render/worker.ts';
import { exitCodes, type Context, type Outcome } from '../report.ts';
import { unknownWorker } from './unknown.ts';

export async function probeWorker(
  { layout, env, note }: Context,
  id: string,
  tools: readonly string[],
): Promise<Outcome> {
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  const ids = config.value.config.workers.map((worker) => worker.id);
  if (!ids.includes(id)) return unknownWorker(id, ids);
  const client = await ensureDaemon(layout);
  if (!client.ok) return client;
  const asked = [...new Set([...compilers, ...tools])];
  const reply = await client.value.call(
    'probe',
    { worker: id, tools: asked },
    {
      onEvent: (event) => {
        const progress = progressEvent.safeParse(event);
        if (progress.success) note(progress.data.text);
      },
    },
  );
  client.value.close();
  if (!reply.ok) return reply;
  const usable = reply.value.facts !== null && reply.value.facts.sandbox.method !== 'none';
  return ok({
    facts: reply.value,
    text: (look) => probeText(reply.value, asked, look),
    exit: usable ? exitCodes.done : exitCodes.failed,
  });
}
