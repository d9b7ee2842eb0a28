/** Has a worker's shell do the steps of a plan that somebody agreed to, and the daemon look at what came of them. */
import { createInterface } from 'node:readline/promises';
import { fail, ok, type Result } from '../../base/result.ts';
import { DaemonClient } from '../../client/daemon-client.ts';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { printable } from '../render/text.ts';
import type { Context } from '../report.ts';
import { runScript, sshLine } from './remote-shell.ts';
import { quoted, type Step } from './step.ts';
import type { Sudo } from './survey.ts';

/** ms for one step: a mirror may be slow, a compiler large. */
const STEP_MS = 1_800_000;
/** ms for the daemon to take a worker's facts anew. */
const LOOK_MS = 300_000;
/** Lines of a failed step that are shown. */
const TAIL = 6;

/** Shows a plan and asks; fails where nobody can be asked. */
export async function agreed(context: Context, shown: string): Promise<Result<undefined>> {
  context.note(shown);
  if (context.json || !process.stdin.isTTY || !process.stderr.isTTY)
    return fail(
      'nothing was done, as nobody can be asked',
      'add --yes, or --dry-run to see the plan',
    );
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question('Do this? (yes/no) ');
    return /^y(es)?$/i.test(answer.trim()) ? ok(undefined) : fail('nothing was done');
  } finally {
    asking.close();
  }
}

async function perform(
  context: Context,
  worker: WorkerConfig,
  step: Step,
  sudo: Sudo,
): Promise<Result<undefined>> {
  const { note, layout } = context;
  note(`${worker.id}: ${step.what} …`);
  const byRoot = step.root && sudo === 'free' ? 'sudo -n ' : '';
  const script = `${byRoot}sh -c ${quoted(step.script)} 2>&1`;
  const onLine = (line: string): void => {
    note(`    ${printable(line)}`);
  };
  const ended = await runScript(worker, script, { layout, timeoutMs: STEP_MS, onLine });
  if (!ended.ok) return ended;
  if (ended.value.code === 0) return ok(undefined);
  const tail = ended.value.out.trimEnd().split('\n').slice(-TAIL).join('\n');
  return fail(
    `"${step.what}" ended with ${ended.value.code} on ${worker.id}:\n${tail}`,
    worker.transport === 'ssh'
      ? `${sshLine(worker)}, and try by hand: ${step.script.split('\n').at(-1) ?? ''}`
      : 'try by hand there',
  );
}

/** One after the other; ends at the first that fails. */
export async function performAll(
  context: Context,
  worker: WorkerConfig,
  steps: readonly Step[],
  sudo: Sudo,
): Promise<Result<undefined>> {
  for (const step of steps) {
    const done = await perform(context, worker, step, sudo);
    if (!done.ok) return done;
  }
  return ok(undefined);
}

/** A daemon that runs learns at once what the worker has now; the next one asks anyway. */
export async function looksAgain(
  { layout }: Context,
  id: string,
  tools: readonly string[],
): Promise<void> {
  const client = await DaemonClient.connect(layout);
  if (!client.ok) return;
  await client.value.call('probe', { worker: id, tools: [...tools] }, { timeoutMs: LOOK_MS });
  client.value.close();
}
