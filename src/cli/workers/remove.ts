/** `rch workers remove ID`. */
import { alone } from '../../base/flock.ts';
import { fail, ok } from '../../base/result.ts';
import { loadConfig } from '../../config/load.ts';
import { readText } from '../../config/replace-file.ts';
import { withoutWorker, writeWorkersFile } from '../../config/workers-file.ts';
import type { Context, Outcome } from '../report.ts';
import { tellDaemon } from './tell.ts';
import { unknownWorker } from './unknown.ts';

export function removeWorker(context: Context, id: string): Promise<Outcome> {
  return alone(context.layout.lib, () => remove(context, id));
}

async function remove({ layout, env }: Context, id: string): Promise<Outcome> {
  const config = loadConfig(layout, env);
  if (!config.ok) return config;
  const ids = config.value.config.workers.map((worker) => worker.id);
  if (!ids.includes(id)) return unknownWorker(id, ids);
  const file = config.value.workersFile;
  const text = readText(file);
  if (!text.ok) return text;
  const rest = withoutWorker(text.value, id);
  if (rest === undefined)
    return fail(`${id} is not written as a [[workers]] block in ${file}`, 'take it out by hand');
  const written = writeWorkersFile(file, rest);
  if (!written.ok) return written;
  await tellDaemon(layout);
  return ok({
    facts: { removed: id, file },
    text: () => `removed ${id} from ${file}; what it keeps of yours is in its ~/.cache/rch-wkr`,
  });
}
